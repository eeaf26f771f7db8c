package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/session"
)

// Load proves the checkpoint against the plans, reads the weights and
// allocates the rest. Call it once, when all that is wanted was asked for.
func (m *Model) Load(ctx context.Context) error {
	if err := m.Prove(); err != nil {
		return err
	}
	if err := m.Read(ctx); err != nil {
		return err
	}
	return m.work()
}

// Prove compares the plans' weights with the headers of the checkpoint: every
// name, shape and type, all mismatches at once. It reads no weight.
func (m *Model) Prove() error { return m.prove() }

// Read reads the weights of a proven checkpoint and allocates caches. What calls
// compute in is allocated by the first of them. After Release it can be called again.
func (m *Model) Read(ctx context.Context) error {
	ahead := &fetcher{m: m}
	var total, done int64
	for _, s := range m.sides() {
		plans := m.onSide(m.plans, s)
		for _, st := range session.Largest(plans) {
			if st.Kind == ir.Weight {
				total += st.Bytes
			}
		}
		ahead.list = append(ahead.list, m.stored(plans)...)
	}
	hear := func(bytes int64) {
		done += bytes
		if m.opt.Progress != nil {
			m.opt.Progress(done, total)
		}
	}
	for _, s := range m.sides() {
		if err := m.readSide(ctx, s, hear, func() { ahead.fetch(done) }); err != nil {
			return err
		}
	}
	m.spare()
	return nil
}

// spare gives back the pages of mapped tables of which a run reads a few rows alone: these are read
// again as they are asked for.
func (m *Model) spare() {
	for _, s := range m.sides() {
		plans := m.onSide(m.plans, s)
		whole := map[string]bool{}
		for _, p := range plans {
			for _, step := range p.Steps {
				for _, in := range step.In {
					if in.State >= 0 && (step.Op != "embedding" || step.Loop != nil) {
						whole[p.States[in.State].Path] = true
					}
				}
			}
		}
		for _, st := range m.stored(plans) {
			if s.store.Mapped(st.Path) && !whole[st.Path] {
				c, name := m.source(st.Path)
				c.Release(name)
			}
		}
	}
}

// Rehearse binds the plans of the device without memory: it returns the bytes of its memory
// that are taken beside what they say, for good.
func (m *Model) Rehearse() (int64, error) {
	n, err := session.Rehearse(m.opt.Backend, m.onSide(m.plans, &m.device))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", m.opt.Name, err)
	}
	return n, nil
}

// Held reports whether the weights were read and not yet given back.
func (m *Model) Held() bool { return m.device.store != nil }

// Release gives back the memory of weights, caches and calls, and the pages of weights that are used where
// files are mapped. Files stay open.
func (m *Model) Release() error {
	held := m.Held()
	var errs []error
	for _, s := range []*side{&m.device, &m.host} {
		errs = append(errs, s.release())
	}
	if held {
		m.ckpt.ReleaseAll()
		if m.adapter != nil {
			m.adapter.Checkpoint().ReleaseAll()
		}
	}
	clear(m.sessions)
	return errors.Join(errs...)
}

// ReadBytes is what reading the weights takes for a moment besides their own memory: the
// largest one that is converted on its way.
func (m *Model) ReadBytes() int64 {
	var most int64
	for _, p := range m.all() {
		for _, s := range p.States {
			if s.Kind != ir.Weight {
				continue
			}
			c, name := m.source(s.Path)
			if checkpoint.Stacked(name) {
				if list := c.Parts(name); len(list) > 0 && list[0].DType != s.Type.DType {
					most = max(most, s.Type.Bytes()/int64(len(list)))
				}
			} else if t, ok := c.Lookup(name); ok && t.DType != s.Type.DType {
				most = max(most, m.convertedBytes(s, t.DType))
			}
		}
	}
	return most
}

// convertedBytes is what a weight takes while it is converted: a piece at a time, if it
// becomes rows of f32.
func (m *Model) convertedBytes(s plan.State, from ir.DType) int64 {
	if s.Layout != "" || from.Blocked() || s.Type.DType.Blocked() {
		return s.Type.Bytes()
	}
	return min(s.Type.Bytes(), session.StreamBytes/int64(from.Size())*int64(s.Type.DType.Size()))
}

// Texts reports whether texts were asked for, one or several, by any way.
func (m *Model) Texts() bool { return m.MakesText() || m.batch != nil || m.beams != nil }

// Forget takes back what asked for a plan, which is not run if nothing else asked for it.
func (m *Model) Forget(p *plan.Plan) {
	if m.asked[p]--; m.asked[p] <= 0 {
		delete(m.asked, p)
		m.plans = slices.DeleteFunc(m.plans, func(q *plan.Plan) bool { return q == p })
	}
}
