package cpu

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	for x := -700.; x < 700; x += 0.37 {
		if want := math.Exp(x); math.Abs(exp(x)-want) > 1e-11*want {
			t.Fatalf("exp(%g) = %g, want %g", x, exp(x), want)
		}
	}
	if v := expAt(float32(math.Inf(-1)), 3); v != 0 {
		t.Errorf("exp(-inf) = %g, want 0", v)
	}
}
