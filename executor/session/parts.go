package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pipe.dev/compiler/plan"
)

// crossed is what is copied from one part of a plan to the next.
type crossed struct {
	name string
	data []byte
}

// Join makes one session of those of the parts of p, in their order. Run runs one
// after the other; what crosses a cut goes by way of host memory.
func Join(p *plan.Plan, parts ...*Session) (*Session, error) {
	s := &Session{plan: p, parts: parts}
	for i, part := range parts {
		var list []crossed
		for _, in := range part.plan.Inputs {
			if !in.Crosses() {
				continue
			}
			if i == 0 || !parts[i-1].gives(in.Name) {
				return nil, fmt.Errorf("plan %s: nothing before the cut gives %s", p.Name, in.Name)
			}
			list = append(list, crossed{in.Name, make([]byte, in.Place.Type.Bytes())})
		}
		s.crossing = append(s.crossing, list)
	}
	return s, nil
}

func (s *Session) gives(output string) bool {
	_, ok := s.outputs[output]
	return ok
}

// writeParts sets an input of every part that reads it.
func (s *Session) writeParts(name string, data []byte) error {
	read := false
	for _, part := range s.parts {
		if !part.Reads(name) {
			continue
		}
		if err := part.Write(name, data); err != nil {
			return err
		}
		read = true
	}
	if !read {
		return fmt.Errorf("plan %s has no input %q", s.plan.Name, name)
	}
	return nil
}

// readParts copies an output of the part that gives it.
func (s *Session) readParts(name string, dst []byte) error {
	for _, part := range s.parts {
		if part.gives(name) {
			return part.Read(name, dst)
		}
	}
	return fmt.Errorf("plan %s has no output %q", s.plan.Name, name)
}

// eachPart does run with each part in order, when what crosses to it was copied.
func (s *Session) eachPart(run func(part *Session) error) error {
	for i, part := range s.parts {
		if err := s.cross(i); err != nil {
			return err
		}
		if err := run(part); err != nil {
			return err
		}
	}
	return nil
}

// cross copies to part i what it reads of the one before.
func (s *Session) cross(i int) error {
	for _, c := range s.crossing[i] {
		if err := s.parts[i-1].Read(c.name, c.data); err != nil {
			return err
		}
		if err := s.parts[i].Write(c.name, c.data); err != nil {
			return err
		}
	}
	return nil
}

// runPartStep is RunStep.
func (s *Session) runPartStep(ctx context.Context, i int) error {
	for k, part := range s.parts {
		if i == 0 {
			if err := s.cross(k); err != nil {
				return err
			}
		}
		if i < len(part.steps) {
			return part.RunStep(ctx, i)
		}
		i -= len(part.steps)
	}
	return fmt.Errorf("plan %s has no step %d", s.plan.Name, i)
}

// watchParts is Watch.
func (s *Session) watchParts(hear func(step int, took time.Duration)) {
	before := 0
	for _, part := range s.parts {
		first := before
		before += len(part.steps)
		if hear == nil {
			part.Watch(nil)
			continue
		}
		part.Watch(func(step int, took time.Duration) { hear(first+step, took) })
	}
}

// waitParts waits for all parts.
func (s *Session) waitParts(ctx context.Context) error {
	var errs []error
	for _, part := range s.parts {
		errs = append(errs, part.Wait(ctx))
	}
	return errors.Join(errs...)
}
