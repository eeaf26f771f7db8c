package session

import (
	"bytes"
	"context"
	"slices"

	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// RunPoisoned makes the same call as Run, but fills all work memory that no
// later step and no output needs with NaN, before the first step and after
// every one. If a plan lets tensors share memory while both are needed, its
// outputs differ from those of Run. It is for tests and for hunting.
func (s *Session) RunPoisoned(ctx context.Context, arena kernels.Buffer) error {
	live := s.live(arena)
	for i := range len(s.steps) + 1 {
		if err := poison(arena, live[i]); err != nil {
			return err
		}
		if i == len(s.steps) {
			break
		}
		if err := s.steps[i](ctx); err != nil {
			return err
		}
	}
	return nil
}

// grain is the resolution of liveness: what tensors are aligned to.
const grain = 64

// live says, for the moment before each step and for the end, which grains of
// the arena hold something that is still needed.
func (s *Session) live(arena kernels.Buffer) [][]bool {
	p := s.plan
	now := make([]bool, (arena.Size()+grain-1)/grain)
	mark := func(at plan.Place, needed bool) {
		if at.State == plan.Work && at.Type.Bytes() > 0 {
			for g := at.Offset / grain; g <= (at.Offset+at.Type.Bytes()-1)/grain; g++ {
				now[g] = needed
			}
		}
	}
	for _, port := range append(append([]plan.Port{}, p.Outputs...), p.Inputs...) {
		mark(port.Place, true)
	}
	out := make([][]bool, len(p.Steps)+1)
	out[len(p.Steps)] = slices.Clone(now)
	for i := len(p.Steps) - 1; i >= 0; i-- {
		for _, at := range p.Steps[i].Out {
			mark(at, false)
		}
		for _, at := range p.Steps[i].In {
			mark(at, true)
		}
		for _, port := range p.Inputs {
			mark(port.Place, true)
		}
		out[i] = slices.Clone(now)
	}
	return out
}

// poison fills the grains that are not live with bytes that are NaN in every
// floating-point type, and far out of range as integers.
func poison(arena kernels.Buffer, live []bool) error {
	nan := bytes.Repeat([]byte{0xFF}, grain)
	for g, needed := range live {
		if needed {
			continue
		}
		at := int64(g) * grain
		if err := arena.Write(at, nan[:min(grain, arena.Size()-at)]); err != nil {
			return err
		}
	}
	return nil
}
