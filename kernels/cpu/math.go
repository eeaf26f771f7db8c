package cpu

import "math"

// Functions of float32, computed in float64 and rounded once: within 0.51 ulp
// where the formula is well conditioned.

// exp returns e to the power x for |x| < 700, with a relative error below
// 1e-11: x = n ln 2 + r, and the Taylor series of r, which is at most ln(2)/2.
func exp(x float64) float64 {
	const magic = 0x1.8p52 // adding it rounds to a whole number, in the low bits
	t := x*math.Log2E + magic
	n := t - magic
	r := x - n*math.Ln2
	r2 := r * r
	r4 := r2 * r2
	p := (1 + r) + r2*(1./2+r*(1./6)) + r4*((1./24+r*(1./120))+r2*(1./720+r*(1./5040))+r4*(1./40320+r*(1./362880)))
	return p * math.Float64frombits(uint64(int64(int32(math.Float64bits(t)))+1023)<<52)
}

// exp32 is exp over all float32: infinite from 88.73 on, zero below -104.
func exp32(x float32) float32 {
	switch {
	case x > 89:
		return float32(math.Inf(1))
	case x < -104:
		return 0
	case x != x:
		return x
	}
	return float32(exp(float64(x)))
}

// clamp keeps the argument of exp where it neither overflows nor changes a
// float32 result.
func clamp(x float32) float64 { return float64(min(max(x, -150), 150)) }

// sigmoid returns 1 / (1 + exp(-x)).
func sigmoid(x float32) float64 { return 1 / (1 + exp(-clamp(x))) }

// tanh returns the hyperbolic tangent.
func tanh(x float32) float64 {
	v := clamp(x)
	if v > -0.01 && v < 0.01 {
		v2 := v * v
		return v * (1 - v2*(1./3-v2*(2./15)))
	}
	return 1 - 2/(exp(2*v)+1)
}

func softplus(x float32) float64 {
	v := float64(x)
	return max(v, 0) + math.Log1p(exp(-math.Abs(clamp(x))))
}
