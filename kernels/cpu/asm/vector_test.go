package asm

import (
	"math"
	"testing"
)

// off is how far got is from want, in units of the last place of a float32.
func off(got float32, want float64) float64 {
	switch near := float32(want); {
	case want != want:
		if got != got {
			return 0
		}
		return math.Inf(1)
	case got == near:
		if math.IsInf(want, 0) || math.IsInf(float64(near), 0) {
			return 0
		}
	case math.IsInf(float64(near), 0) || got != got:
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func plus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// exactly are the functions in float64, with the most ulp that Vector allows
// them to be off. A gated function is x sigmoid(z), and the error of z is
// multiplied in the exponential; where its exponential is subnormal, x
// multiplies what it lost.
var exactly = []struct {
	name string
	pick func(v *Vector) Map
	f    func(x float64) float64
	ulp  float64
	z    func(x float64) float64 // of a gated function, else nil
}{
	{"Exp", func(v *Vector) Map { return v.Exp }, math.Exp, 1, nil},
	{"Expm1", func(v *Vector) Map { return v.Expm1 }, func(x float64) float64 { return math.Expm1(math.Min(x, 0)) }, 1, nil},
	{"Log", func(v *Vector) Map { return v.Log }, math.Log, 1, nil},
	{"Tanh", func(v *Vector) Map { return v.Tanh }, math.Tanh, 2.5, nil},
	{"Sigmoid", func(v *Vector) Map { return v.Sigmoid }, logistic, 2.5, nil},
	{"Erf", func(v *Vector) Map { return v.Erf }, math.Erf, 1.25, nil},
	{"Silu", func(v *Vector) Map { return v.Silu }, func(x float64) float64 { return x * logistic(x) }, 3, same},
	{"Gelu", func(v *Vector) Map { return v.Gelu }, gelu, 3.75, nil},
	{"GeluTanh", func(v *Vector) Map { return v.GeluTanh }, func(x float64) float64 { return x * logistic(geluZ(x)) }, 3, geluZ},
	{"QuickGelu", func(v *Vector) Map { return v.QuickGelu }, func(x float64) float64 { return x * logistic(quickZ(x)) }, 3, quickZ},
	{"Softplus", func(v *Vector) Map { return v.Softplus }, plus, 1.75, nil},
	{"Mish", func(v *Vector) Map { return v.Mish }, func(x float64) float64 { return x * math.Tanh(plus(x)) }, 4.25, same},
	{"Sqrt", func(v *Vector) Map { return v.Sqrt }, math.Sqrt, 0.5, nil},
	{"Rsqrt", func(v *Vector) Map { return v.Rsqrt }, func(x float64) float64 { return 1 / math.Sqrt(x) }, 1.5, nil},
	{"Sin", func(v *Vector) Map { return v.Sin }, math.Sin, 0.5001, nil},
	{"Cos", func(v *Vector) Map { return v.Cos }, math.Cos, 0.5001, nil},
	{"Sign", func(v *Vector) Map { return v.Sign }, func(x float64) float64 { return float64(signOf(float32(x))) }, 0, nil},
	{"Neg", func(v *Vector) Map { return v.Neg }, func(x float64) float64 { return -x }, 0, nil},
	{"Abs", func(v *Vector) Map { return v.Abs }, math.Abs, 0, nil},
	{"Floor", func(v *Vector) Map { return v.Floor }, math.Floor, 0, nil},
}

// gelu is 0 where Vector says so.
func gelu(x float64) float64 {
	if x <= -5.8125 {
		return 0
	}
	return 0.5 * x * math.Erfc(-x/math.Sqrt2)
}

func same(float64) float64 { return 0 }

func geluZ(x float64) float64 { return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

func quickZ(x float64) float64 { return 1.702 * x }

// Every function keeps the error that Vector states, over a dense sample of
// all float32.
func TestVectorErrors(t *testing.T) {
	v := Generic().Vector
	for _, c := range exactly {
		t.Run(c.name, func(t *testing.T) {
			f := c.pick(&v)
			worst, at := -1., float32(0)
			var x, y [1]float32
			for bits := uint64(0); bits < 1<<32; bits += 4999 {
				x[0] = math.Float32frombits(uint32(bits))
				f(y[:], x[:])
				arg := float64(x[0])
				want := c.f(arg)
				if c.z != nil && min(arg, c.z(arg)) < -80 { // 0 times infinity, where the limit is 0
					if got := float64(y[0]); !(math.Abs(got-want) <= 0x1p-100) && !(math.IsInf(arg, -1) && got == 0) {
						t.Fatalf("at %g: %g, want %g", arg, got, want)
					}
					continue
				}
				d := off(y[0], want)
				if c.z != nil && arg < 0 {
					d -= 2.5 * math.Abs(c.z(arg))
				}
				if d > worst {
					worst, at = d, x[0]
				}
			}
			x[0] = at
			f(y[:], x[:])
			t.Logf("at most %.3f ulp, at %g: %g, want %g", worst, at, y[0], c.f(float64(at)))
			if worst > c.ulp {
				t.Errorf("off by %.3f ulp, want at most %g", worst, c.ulp)
			}
		})
	}
}

// Weigh keeps the error that Vector states.
func TestWeighErrors(t *testing.T) {
	worst, at := -1., float32(0)
	for bits := uint64(1 << 31); bits < 1<<32; bits += 997 {
		x := math.Float32frombits(uint32(bits))
		want := math.Exp2(float64(x))
		if x < -126.5 {
			want = 0
		}
		if d := off(exp2Of(x), want); d > worst {
			worst, at = d, x
		}
	}
	t.Logf("at most %.3f ulp, at %g", worst, at)
	if worst > 2 {
		t.Errorf("2 to the power %g is off by %.3f ulp, want at most 2", at, worst)
	}
	// The weights of a row are those of softmax, whatever its scores.
	p := []float32{3, 5, -200, 4.5}
	greatest, shrink, total := [16]float32{-1e29}, [16]float32{}, 0.
	Generic().Weigh(1, &p[0], len(p), &[2]int{0, len(p)}, &greatest[0], &total, &shrink[0])
	for i, x := range []float64{3, 5, -200, 4.5} {
		sum := math.Exp(-2) + 1 + math.Exp(-0.5)
		if got, want := float64(p[i])/total, math.Exp(x-5)/sum; math.Abs(got-want) > 3e-7 {
			t.Errorf("weight %d is %g, want %g", i, got, want)
		}
	}
}
