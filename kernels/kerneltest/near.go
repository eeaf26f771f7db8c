package kerneltest

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cases"
)

// epsilon is the distance of 1 from the next number of a type; of q8_0, how far a number
// may be off that is 1 at most: half a step of 127, and half a step of the f16 scale.
func epsilon(t ir.DType) float64 {
	switch t {
	case ir.BF16:
		return 1. / 128
	case ir.F16:
		return 1. / 1024
	case ir.Q8_0:
		return 1./254 + 1./2048
	}
	return 0
}

// near compares an output with what it should be: whole numbers exactly, others
// to tol relative to max(1, |want|).
func near(t ir.DType, got, want []float64, tol float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	if !t.Float() && !t.Blocked() {
		tol = 0
	}
	worst, at := 0., -1
	for i, w := range want {
		if t == ir.F16 || t == ir.BF16 { // so that what overflows is infinite in both
			w = cases.Decode(t, cases.Encode(t, want[i:i+1]))[0]
		}
		g := got[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		off := math.Abs(g-w) / math.Max(1, math.Abs(w))
		if !(off <= tol) && !(off <= worst) {
			worst, at = off, i
			if math.IsNaN(off) {
				break
			}
		}
	}
	if at >= 0 {
		return fmt.Errorf("element %d is %v, want %v (off by %.2g, tolerance %.2g)", at, got[at], want[at], worst, tol)
	}
	return nil
}
