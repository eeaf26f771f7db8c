package session

import (
	"context"
	"fmt"

	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// memory says where the tensors of a plan lie.
type memory struct {
	backend kernels.Backend
	plan    *plan.Plan
	at      func(plan.Place) (kernels.Tensor, error)
}

func (m memory) all(places []plan.Place) (list []kernels.Tensor, err error) {
	list = make([]kernels.Tensor, len(places))
	for i, place := range places {
		if list[i], err = m.at(place); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// step binds one step; out is what it writes.
func (m memory) step(st plan.Step) (run kernels.Step, out []kernels.Tensor, err error) {
	args := kernels.Args{Attr: st.Attr}
	if args.In, err = m.all(st.In); err == nil {
		args.Out, err = m.all(st.Out)
	}
	if err == nil {
		args.Scratch, err = m.at(st.Scratch)
	}
	if err != nil {
		return nil, nil, err
	}
	if st.Loop != nil {
		run, err = m.loop(st.Loop, args.Scratch)
		return run, args.Out, err
	}
	k, ok := m.backend.Kernel(st.Op, st.Attr, typesOf(st.In), typesOf(st.Out))
	if !ok {
		return nil, nil, fmt.Errorf("%v: %s: %s has no kernel for it", st.Pos, st.Op, m.backend.Name())
	}
	if run, err = k.Bind(args); err != nil {
		return nil, nil, fmt.Errorf("%v: %s: %w", st.Pos, st.Op, err)
	}
	return run, args.Out, nil
}

// steps binds several.
func (m memory) steps(list []plan.Step) ([]kernels.Step, error) {
	out := make([]kernels.Step, len(list))
	for i, st := range list {
		var err error
		if out[i], _, err = m.step(st); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// loop binds a plan that runs again and again in the memory of the one around:
// its work arena is scratch.
func (m memory) loop(l *plan.Loop, scratch kernels.Tensor) (kernels.Step, error) {
	begin, err := m.steps(l.Begin)
	if err != nil {
		return nil, err
	}
	body := memory{m.backend, l.Body, func(place plan.Place) (kernels.Tensor, error) {
		var t kernels.Tensor
		var err error
		switch place.State {
		case plan.None:
			return t, nil
		case plan.Work:
			t = scratch
			t.Offset += place.Offset
		default:
			if t, err = m.at(l.States[place.State]); err != nil {
				return t, err
			}
			t.Layout = l.Body.States[place.State].Layout
		}
		t.DType, t.Shape = place.Type.DType, place.Type.Sizes()
		return t, nil
	}}
	steps, err := body.steps(l.Body.Steps)
	if err != nil {
		return nil, err
	}
	once, wait := runner(m.backend, steps, l.Body.Steps)
	return func(ctx context.Context) error {
		for _, run := range begin {
			if err := run(ctx); err != nil {
				return err
			}
		}
		for range l.Steps {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := once(ctx); err != nil {
				return err
			}
		}
		return wait(ctx)
	}, nil
}

// runner runs steps one after the other, or as one where the device can; wait tells
// what went wrong in them.
func runner(b kernels.Backend, steps []kernels.Step, of []plan.Step) (run, wait kernels.Step) {
	if g := group(b, steps, of); g != nil {
		return g.Run, g.Wait
	}
	return func(ctx context.Context) error {
		for i, run := range steps {
			if err := run(ctx); err != nil {
				return failed(of[i], err)
			}
		}
		return nil
	}, context.Context.Err
}
