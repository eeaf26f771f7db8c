//go:build !arm64 && !ppc64le && !s390x && !riscv64

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
	if plain(s) {
		return float32(s)
	}
	return fmaOdd(p, c, s)
}

// fmas is acc[j] = FMA(x, w[j], acc[j]).
func fmas(acc []float32, x float32, w []float32) {
	w = w[:len(acc)]
	xd := float64(x)
	for j := range acc {
		p := xd * float64(w[j])
		c := float64(acc[j])
		s := p + c
		if plain(s) {
			acc[j] = float32(s)
		} else {
			acc[j] = fmaOdd(p, c, s)
		}
	}
}

// plain reports whether s is so far from half-way between two float32, and
// from the subnormal ones, that rounding it again does no harm.
func plain(s float64) bool {
	bits := math.Float64bits(s)
	return bits&0x1fffffff != 0x10000000 && bits&(0x7ff<<52) > 0x3810000000000000
}

// fmaOdd rounds p + c, of which s is the nearest float64.
//
//go:noinline
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
