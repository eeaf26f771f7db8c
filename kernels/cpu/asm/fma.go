package asm

import "math"

// FMA returns x*y + z, rounded once, as the vector instructions do.
//
// The product of two float32 is exact in float64. Rounding the sum to float64
// and then to float32 would round twice, which differs when the float64 lies
// half-way between two float32. So the sum is rounded to odd first, which
// keeps what is needed to round right (Boldo and Melquiond, "Emulation of FMA
// and correctly rounded sums: proved algorithms using rounding to odd", 2008).
func FMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	c := float64(z)
	s := p + c
	// Far from half-way and from the subnormal float32, rounding twice is right.
	bits := math.Float64bits(s)
	if bits&0x1fffffff != 0x10000000 && bits&0x7ff<<52 > 0x3810000000000000 {
		return float32(s)
	}
	return fmaOdd(p, c, s)
}

// fmaOdd rounds p + c, of which s is the nearest float64.
func fmaOdd(p, c, s float64) float32 {
	t := s - p
	e := (p - (s - t)) + (c - t) // s + e = p + c exactly (Knuth's two-sum)
	bits := math.Float64bits(s)
	if bits&1 == 0 && (e > 0 || e < 0) {
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}
