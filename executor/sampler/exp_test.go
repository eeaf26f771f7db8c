package sampler

import (
	"math"
	"testing"
)

// TestExponential compares with math.Exp, which is within one unit in the last place.
func TestExponential(t *testing.T) {
	e := newExponential()
	exp := func(x float64) float64 {
		y := make([]float64, 1)
		e.fill(y, []float64{x})
		return y[0]
	}
	if exp(0) != 1 {
		t.Errorf("exp(0) = %v", exp(0))
	}
	worst, at := 0.0, 0.0
	for x := -1e-9; x > -750; x = x*1.00003 - 1e-6 {
		want := math.Exp(x)
		if x < -700 {
			if exp(x) != want {
				t.Fatalf("exp(%v) = %v, want %v", x, exp(x), want)
			}
			continue
		}
		if d := math.Abs(exp(x)/want - 1); d > worst {
			worst, at = d, x
		}
	}
	if worst > 2*0x1p-52 {
		t.Errorf("exp(%v) is off by %.3g of its value", at, worst)
	}
	if got := exp(-1e300); got != 0 {
		t.Errorf("exp(-1e300) = %v", got)
	}
}
