package cpu

import "math"

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

// expAt is exp(x - m) for a greatest element m.
func expAt(x float32, m float64) float64 {
	d := float64(x) - m
	if d < -700 {
		return 0
	}
	return exp(d)
}
