package session

import (
	"bytes"
	"context"
	"slices"

	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// RunPoisoned makes the same call as Run, but fills work memory with NaN
// before the first step, and whatever the plan says is free after each step.
// If a plan frees memory that is still needed, or lets tensors share memory
// while both are, its outputs differ from those of Run. It is for tests and
// for hunting.
func (s *Session) RunPoisoned(ctx context.Context, arena kernels.Buffer) error {
	if err := s.poisonAll(arena); err != nil {
		return err
	}
	for i, run := range s.steps {
		if err := run(ctx); err != nil {
			return err
		}
		for _, at := range s.plan.Steps[i].Frees {
			if err := poison(arena, at.Offset, at.Type.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// poisonAll fills everything but the inputs.
func (s *Session) poisonAll(arena kernels.Buffer) error {
	var inputs []plan.Place
	for _, port := range s.plan.Inputs {
		inputs = append(inputs, port.Place)
	}
	slices.SortFunc(inputs, func(a, b plan.Place) int { return int(a.Offset - b.Offset) })
	var at int64
	for _, in := range inputs {
		if err := poison(arena, at, in.Offset-at); err != nil {
			return err
		}
		at = in.Offset + in.Type.Bytes()
	}
	return poison(arena, at, s.plan.WorkBytes-at)
}

// poison fills memory with bytes that are NaN in every floating-point type,
// and far out of range as integers.
func poison(arena kernels.Buffer, offset, n int64) error {
	if n <= 0 {
		return nil
	}
	return arena.Write(offset, bytes.Repeat([]byte{0xFF}, int(n)))
}
