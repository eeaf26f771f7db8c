package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// Session is a plan bound to a device. It runs one call at a time.
type Session struct {
	backend kernels.Backend
	plan    *plan.Plan
	steps   []kernels.Step
	group   kernels.Group // of all steps; nil where the device runs them one by one
	inputs  map[string]kernels.Tensor
	outputs map[string]kernels.Tensor
	outs    [][]kernels.Tensor // of every step, to look for NaN
	hear    func(step int, took time.Duration)

	parts    []*Session  // of a plan that has parts; then it has no steps of its own
	crossing [][]crossed // to each of them
}

// Bind resolves the kernels of p over the states in store and the work arena,
// which must have at least p.WorkBytes bytes and may be shared by sessions
// that do not run at the same time. A missing kernel or state fails here.
func Bind(b kernels.Backend, p *plan.Plan, store *Store, arena kernels.Buffer) (*Session, error) {
	if arena == nil || arena.Size() < p.WorkBytes {
		return nil, fmt.Errorf("plan %s needs a work arena of %d bytes", p.Name, p.WorkBytes)
	}
	s := &Session{backend: b, plan: p, inputs: map[string]kernels.Tensor{}, outputs: map[string]kernels.Tensor{}}
	m := memory{b, p, func(place plan.Place) (kernels.Tensor, error) { return tensor(p, store, arena, place) }}
	for _, st := range p.Steps {
		run, out, err := m.step(st)
		if err != nil {
			return nil, err
		}
		s.steps = append(s.steps, run)
		s.outs = append(s.outs, out)
	}
	s.group = group(b, s.steps, p.Steps)
	for _, ports := range []struct {
		list []plan.Port
		into map[string]kernels.Tensor
	}{{p.Inputs, s.inputs}, {p.Outputs, s.outputs}} {
		for _, port := range ports.list {
			t, err := m.at(port.Place)
			if err != nil {
				return nil, err
			}
			ports.into[port.Name] = t
		}
	}
	return s, nil
}

func tensor(p *plan.Plan, store *Store, arena kernels.Buffer, at plan.Place) (kernels.Tensor, error) {
	switch at.State {
	case plan.None:
		return kernels.Tensor{}, nil
	case plan.Work:
		return kernels.Tensor{Buffer: arena, Offset: at.Offset, DType: at.Type.DType, Shape: at.Type.Sizes()}, nil
	}
	st := p.States[at.State]
	t, ok := store.Tensor(st.Path)
	if !ok {
		return t, fmt.Errorf("state %s was not loaded", st.Path)
	}
	if t.Layout != st.Layout || t.DType != st.Type.DType {
		return t, fmt.Errorf("state %s was loaded as %v %q, plan %s reads %v %q", st.Path, t.DType, t.Layout, p.Name, st.Type.DType, st.Layout)
	}
	if store.states[st.Path].pairs != st.Pairs {
		return t, fmt.Errorf("state %s was loaded with its rows in another order than plan %s reads", st.Path, p.Name)
	}
	if room := t.Buffer.Size() - t.Offset; st.Bytes > room {
		return t, fmt.Errorf("state %s has %d bytes, plan %s reads %d", st.Path, room, p.Name, st.Bytes)
	}
	t.Shape = at.Type.Sizes() // a view of a state has a shape of its own
	return t, nil
}

func typesOf(places []plan.Place) []ir.Type {
	out := make([]ir.Type, len(places))
	for i, at := range places {
		out[i] = at.Type
	}
	return out
}

// OwnMemory reports whether what runs it, or a part of it, has memory of its own.
func (s *Session) OwnMemory() bool {
	_, own := s.backend.(kernels.OwnMemory)
	return own || slices.ContainsFunc(s.parts, (*Session).OwnMemory)
}

// Plan returns what the session runs.
func (s *Session) Plan() *plan.Plan { return s.plan }

// Reads reports whether the plan has an input of that name.
func (s *Session) Reads(name string) bool {
	_, ok := s.inputs[name]
	return ok || slices.ContainsFunc(s.parts, func(part *Session) bool { return part.Reads(name) })
}

// Write sets an input: elements in C order, little-endian.
func (s *Session) Write(name string, data []byte) error {
	if s.parts != nil {
		return s.writeParts(name, data)
	}
	t, ok := s.inputs[name]
	if !ok {
		return fmt.Errorf("plan %s has no input %q", s.plan.Name, name)
	}
	if want := t.Len() * t.DType.Size(); len(data) != want {
		return fmt.Errorf("input %s has %d bytes, want %d", name, len(data), want)
	}
	return t.Buffer.Write(t.Offset, data)
}

// Read copies an output.
func (s *Session) Read(name string, dst []byte) error {
	if s.parts != nil {
		return s.readParts(name, dst)
	}
	t, ok := s.outputs[name]
	if !ok {
		return fmt.Errorf("plan %s has no output %q", s.plan.Name, name)
	}
	if want := t.Len() * t.DType.Size(); len(dst) != want {
		return fmt.Errorf("output %s has %d bytes, want %d", name, want, len(dst))
	}
	if err := s.Wait(context.Background()); err != nil {
		return err
	}
	return t.Buffer.Read(t.Offset, dst)
}

// Wait waits until all that runs is done, and says what went wrong in it. Read
// waits too.
func (s *Session) Wait(ctx context.Context) error {
	if s.parts != nil {
		return s.waitParts(ctx)
	}
	if s.group == nil {
		return s.backend.Sync(ctx)
	}
	return s.group.Wait(ctx)
}

// Run makes one call of the plan. It does not allocate. A device may still be at
// it when Run returns: what goes wrong there is told by Wait and Read.
func (s *Session) Run(ctx context.Context) error {
	if s.parts != nil {
		return s.eachPart(func(part *Session) error { return part.Run(ctx) })
	}
	if s.group != nil && s.hear == nil {
		return s.group.Run(ctx)
	}
	for i, run := range s.steps {
		if i%16 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.hear != nil {
			begin := time.Now()
			if err := s.RunStep(ctx, i); err != nil {
				return err
			}
			s.hear(i, time.Since(begin))
		} else if err := run(ctx); err != nil {
			return failed(s.plan.Steps[i], err)
		}
	}
	return ctx.Err()
}

// failed says which step an error is of.
func failed(st plan.Step, err error) error { return fmt.Errorf("%v: %s: %w", st.Pos, st.Op, err) }

// group makes one of steps, where the device can; nil where it can't.
func group(b kernels.Backend, steps []kernels.Step, of []plan.Step) kernels.Group {
	g, ok := b.(kernels.Grouper)
	if !ok {
		return nil
	}
	return g.Group(steps, func(i int, err error) error { return failed(of[i], err) })
}

// Watch has later calls of Run tell hear how long each step of the plan took; nil ends that.
func (s *Session) Watch(hear func(step int, took time.Duration)) {
	s.hear = hear
	s.watchParts(hear)
}

// Whole reports whether Run puts all steps onto a device at once, so that a call is
// quicker than its steps one by one.
func (s *Session) Whole() bool { return s.group != nil }

// RunStep runs one step of the plan alone, as often as it is called, and waits for
// it. What it reads is whatever lies there.
func (s *Session) RunStep(ctx context.Context, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.parts != nil {
		return s.runPartStep(ctx, i)
	}
	err := s.steps[i](ctx)
	if err == nil {
		err = s.backend.Sync(ctx)
	}
	if err != nil {
		return failed(s.plan.Steps[i], err)
	}
	return nil
}
