package sampler

import "math"

// exponential computes exp(x) of x <= 0 to within two units in the last place,
// faster than math.Exp and without its special instructions, so that a draw is
// the same on every processor of a kind.
//
//	exp(x) = 2^(k/64) exp(r), k = round(64 x/ln 2), |r| <= ln 2/128
type exponential [64]float64 // 2^(i/64)

func newExponential() (e exponential) {
	for i := range e {
		e[i] = math.Exp2(float64(i) / 64)
	}
	return e
}

// fill sets y[i] = exp(x[i]) for x[i] <= 0.
func (e *exponential) fill(y, x []float64) {
	const (
		perUnit = 64 / math.Ln2
		high    = 0x1.62e42fee0p-7 // ln 2/64: its first 33 bits, so that k*high is exact
		low     = math.Ln2/64 - high
	)
	y = y[:len(x)]
	for i, v := range x {
		if v < -700 {
			y[i] = math.Exp(v) // near the smallest numbers
			continue
		}
		k := int(v*perUnit - 0.5)
		r := v - float64(k)*high - float64(k)*low
		series := r + r*r*(1./2+r*(1./6+r*(1./24+r*(1./120))))
		p := e[k&63]
		y[i] = (p + p*series) * math.Float64frombits(uint64(1023+k>>6)<<52)
	}
}
