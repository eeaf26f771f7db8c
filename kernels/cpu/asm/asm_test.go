package asm

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// FMA rounds once: it agrees with exact arithmetic, also where a float64 sum
// would lie half-way and among subnormal numbers.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(x, y, z float32) {
		t.Helper()
		b := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
		sum := b(x)
		sum.Mul(sum, b(y)).Add(sum, b(z))
		want, _ := sum.Float32()
		if got := FMA(x, y, z); got != want {
			t.Fatalf("FMA(%g, %g, %g) = %g, want %g", x, y, z, got, want)
		}
	}
	for range 200_000 {
		x := math.Float32frombits(r.Uint32())
		y := math.Float32frombits(r.Uint32())
		z := math.Float32frombits(r.Uint32())
		if finite(x) && finite(y) && finite(z) {
			check(x, y, z)
		}
		// Products near a half-way point of z, off by far less than a float64 sees.
		u := float32(1+r.IntN(1<<12)) / (1 << 12)
		check(1+u, float32(math.Ldexp(1, -24-r.IntN(3))), 1+u*0.5)
		check(float32(math.Ldexp(1+float64(u), -70)), float32(math.Ldexp(1-float64(u)/2, -60-r.IntN(30))), float32(math.Ldexp(float64(1+r.IntN(1<<20)), -149)))
	}
	check(0x1p-100, 0x1p-100, 0x1p-149)
	check(-0x1p-100, 0x1p-100, 0x1.8p-126)
	check(1+0x1p-12, 1+0x1p-12, 0x1p25)
	check(0x1.000002p-75, 0x1.000002p-75, 0x1p-149)
	if got := FMA(float32(math.Inf(1)), 1, 2); !math.IsInf(float64(got), 1) {
		t.Errorf("FMA(inf, 1, 2) = %g", got)
	}
	if got := FMA(math.MaxFloat32, 2, 0); !math.IsInf(float64(got), 1) {
		t.Errorf("FMA(max, 2, 0) = %g", got)
	}
	if got := FMA(float32(math.Inf(1)), 0, 2); got == got {
		t.Errorf("FMA(inf, 0, 2) = %g", got)
	}
}

func finite(x float32) bool { return !math.IsInf(float64(x), 0) && x == x }
