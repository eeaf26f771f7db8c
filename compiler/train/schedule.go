package train

import (
	"fmt"
	"math"

	"pipe.dev/compiler/attr"
)

// Schedule defines how the learning rate goes over a run. It is computed on
// the host, in float64; the graph reads the rate as an input.
type Schedule struct {
	Def
	// factor is defined for 0 <= step, also beyond steps.
	factor func(attr any, step, steps int) float64
}

// At returns the factor of the base rate for the update that follows step
// updates (so 0 for the first), in a run of steps updates.
func (s *Schedule) At(attr any, step, steps int) float64 { return s.factor(attr, step, steps) }

func (s *Schedule) complete() error {
	if s.factor == nil {
		return fmt.Errorf("need factor")
	}
	return nil
}

func (s *Schedule) rows() []attr.Row { return nil }

// rise returns the factor while the rate still rises from 0, over warmup
// updates.
func rise(warmup, step int) (float64, bool) {
	return float64(step) / float64(max(1, warmup)), step < warmup
}

// progress is the part done of the steps after the warm-up; it may exceed 1.
func progress(warmup, step, steps int) float64 {
	return float64(step-warmup) / float64(max(1, steps-warmup))
}

// above raises factors from 0..1 to least..1.
func above(least, factor float64) float64 { return least + (1-least)*factor }

// halfCosine falls from 1 to 0 as x goes from 0 to 1.
func halfCosine(x float64) float64 { return (1 + math.Cos(math.Pi*x)) / 2 }
