package cpu

import (
	"math"
	"testing"

	"pipe.dev/compiler/op"
)

// ulps is how far got is from want, in units of the last place of a float32.
func ulps(got float32, want float64) float64 {
	if math.IsInf(want, 0) || math.IsNaN(want) || want > math.MaxFloat32 {
		if math.IsNaN(want) && got != got || math.IsInf(float64(got), 1) {
			return 0
		}
		return math.Inf(1)
	}
	unit := math.Max(math.Ldexp(1, math.Ilogb(want)-23), 0x1p-149)
	return math.Abs(float64(got)-want) / unit
}

func TestExp(t *testing.T) {
	worst := 0.
	for bits := uint64(0); bits < 1<<32; bits += 10007 {
		x := math.Float32frombits(uint32(bits))
		want := math.Exp(float64(x))
		if float32(want) == float32(math.Inf(1)) {
			want = math.Inf(1)
		}
		if d := ulps(exp32(x), want); d > worst {
			worst = d
			if d > 0.51 {
				t.Fatalf("exp(%g) = %g, want %g: off by %g ulp", x, exp32(x), want, d)
			}
		}
	}
	t.Logf("exp: at most %.4f ulp", worst)
}

// The functions that are computed from exp keep nearly full precision, also
// far below zero, where their values are small.
func TestActivations(t *testing.T) {
	plus := func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	sig := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for fn, f := range map[string]func(x float64) float64{
		"silu": func(x float64) float64 { return x * sig(x) },
		"gelu": func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
		"gelu_tanh": func(x float64) float64 {
			return x * sig(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
		},
		"quick_gelu": func(x float64) float64 { return x * sig(float64(float32(1.702)*float32(x))) },
		"sigmoid":    sig,
		"tanh":       math.Tanh,
		"softplus":   plus,
		"mish":       func(x float64) float64 { return x * math.Tanh(plus(x)) },
		"elu": func(x float64) float64 {
			if x > 0 {
				return x
			}
			return math.Expm1(x)
		},
	} {
		act, ok := actOf(op.DefaultAct(fn))
		if !ok {
			t.Fatalf("no function %s", fn)
		}
		for x := float32(-30); x < 30; x += 0.0037 {
			for _, v := range []float32{x, x * 1e-3, x * 1e-6} {
				var y [1]float32
				act(y[:], []float32{v})
				if d := ulps(y[0], f(float64(v))); d > 0.6 {
					t.Fatalf("%s(%g) = %g, want %g: off by %g ulp", fn, v, y[0], f(float64(v)), d)
				}
			}
		}
	}
}
