package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// side is a device with what lies there of a model.
type side struct {
	backend kernels.Backend
	store   *session.Store
	arena   kernels.Buffer
}

// sides are those that the model lies on: the device, and, of a model that is cut,
// the host.
func (m *Model) sides() []*side {
	if !m.cut {
		return []*side{&m.device}
	}
	return []*side{&m.device, &m.host}
}

// sideOf is where part i of a plan runs.
func (m *Model) sideOf(p *plan.Plan, i int) *side {
	if len(p.Parts) > 0 && i == 0 {
		return &m.host
	}
	return &m.device
}

// onSide lists the plans, and the parts of plans, that run on one side.
func (m *Model) onSide(plans []*plan.Plan, at *side) []*plan.Plan {
	var list []*plan.Plan
	for _, p := range plans {
		for i, part := range p.Each() {
			if m.sideOf(p, i) == at {
				list = append(list, part)
			}
		}
	}
	return list
}

// all lists the plans that were asked for, those that are cut as their parts.
func (m *Model) all() []*plan.Plan {
	var list []*plan.Plan
	for _, p := range m.plans {
		list = append(list, p.Each()...)
	}
	return list
}

// tensor is the memory of a state that a plan has, on whichever side.
func (m *Model) tensor(path string) (kernels.Tensor, bool) {
	for _, s := range m.sides() {
		if t, ok := s.store.Tensor(path); ok {
			return t, true
		}
	}
	return kernels.Tensor{}, false
}

// readSide reads the weights of a side and allocates the rest.
func (m *Model) readSide(ctx context.Context, s *side, hear func(bytes int64), fetch func()) error {
	s.store = session.NewStore(s.backend)
	plans := m.onSide(m.plans, s)
	if err := s.store.Room(session.Largest(plans)); err != nil {
		return fmt.Errorf("%s: %w", m.opt.Dir, err)
	}
	if err := s.store.Reserve(session.Largest(plans)); err != nil {
		return err
	}
	for _, p := range plans {
		for i := range p.States {
			if err := ctx.Err(); err != nil {
				return err
			}
			fetch()
			if err := m.load(s.store, p.States[i], hear); err != nil {
				return err
			}
		}
	}
	return nil
}

// work allocates what calls compute in, once; again if a call that was asked for
// since then needs more.
func (m *Model) work() error {
	for _, s := range m.sides() {
		need := session.WorkBytes(m.onSide(m.plans, s))
		if s.arena != nil && s.arena.Size() >= need {
			continue
		}
		if s.arena != nil {
			clear(m.sessions)
			if err := s.arena.Free(); err != nil {
				return fmt.Errorf("%s: %w", m.opt.Dir, err)
			}
			s.arena = nil
		}
		arena, err := s.backend.Alloc(need)
		if err != nil {
			return fmt.Errorf("%s: %w", m.opt.Dir, err)
		}
		s.arena = arena
	}
	return nil
}

// release gives the memory of a side back.
func (s *side) release() error {
	var err error
	if s.store != nil {
		err = s.store.Free()
	}
	if s.arena != nil {
		err = errors.Join(err, s.arena.Free())
	}
	s.store, s.arena = nil, nil
	return err
}

// bytes is what lies there.
func (s *side) bytes() int64 {
	var sum int64
	if s.store != nil {
		sum = s.store.Bytes()
	}
	if s.arena != nil {
		sum += s.arena.Size()
	}
	return sum
}

// states lists those of a plan, or of its parts.
func states(p *plan.Plan) []plan.State {
	var list []plan.State
	for _, part := range p.Each() {
		list = append(list, part.States...)
	}
	return list
}

// stateBytes is what the states of one kind take.
func (s *side) stateBytes(plans []*plan.Plan, k ir.Kind) int64 {
	list := session.Largest(plans)
	return session.StateBytes(s.backend, slices.DeleteFunc(list, func(st plan.State) bool { return st.Kind != k }))
}

// bind binds a plan, or each of its parts to its side.
func (m *Model) bind(p *plan.Plan) (*session.Session, error) {
	var parts []*session.Session
	for i, part := range p.Each() {
		at := m.sideOf(p, i)
		s, err := session.Bind(at.backend, part, at.store, at.arena)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	if len(p.Parts) == 0 {
		return parts[0], nil
	}
	return session.Join(p, parts...)
}
