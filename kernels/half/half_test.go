package half

import (
	"math"
	"math/rand/v2"
	"testing"
)

// f16Value is the definition of binary16 in float64 arithmetic.
func f16Value(h uint16) float64 {
	exp, frac := int(h>>10)&0x1f, float64(h&0x3ff)
	v := 0.0
	switch {
	case exp == 0x1f && frac != 0:
		return math.NaN()
	case exp == 0x1f:
		v = math.Inf(1)
	case exp == 0:
		v = math.Ldexp(frac, -24)
	default:
		v = math.Ldexp(1024+frac, exp-15-10)
	}
	if h&0x8000 != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

func same(a, b float64) bool {
	return a == b && math.Signbit(a) == math.Signbit(b) || math.IsNaN(a) && math.IsNaN(b)
}

func TestF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := F16ToF32(h)
		if want := f16Value(h); !same(float64(f), want) {
			t.Fatalf("F16ToF32(%#04x) = %g, want %g", h, f, want)
		}
		back, want := F32ToF16(f), h
		if math.IsNaN(float64(f)) {
			want |= 0x200 // made quiet, the rest of the payload kept
		}
		if back != want {
			t.Fatalf("F32ToF16(F16ToF32(%#04x)) = %#04x, want %#04x", h, back, want)
		}
	}
}

// Around every midpoint of two neighbours, narrowing must choose the nearer,
// and the one with an even last bit on the midpoint itself.
func TestF16RoundsToNearestEven(t *testing.T) {
	for h := uint16(0); h < 0x7c00; h++ {
		lo, hi := f16Value(h), f16Value(h+1)
		if h+1 == 0x7c00 {
			hi = 65536 // where the next number would be
		}
		mid := float32((lo + hi) / 2) // exact: one bit more than binary16 has
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{
			{math.Nextafter32(mid, 0), h},
			{mid, even},
			{math.Nextafter32(mid, math.MaxFloat32), h + 1},
		} {
			if got := F32ToF16(c.f); got != c.want {
				t.Fatalf("F32ToF16(%g) = %#04x, want %#04x", c.f, got, c.want)
			}
			if got := F32ToF16(-c.f); got != c.want|0x8000 {
				t.Fatalf("F32ToF16(%g) = %#04x, want %#04x", -c.f, got, c.want|0x8000)
			}
		}
	}
}

func TestBF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := BF16ToF32(h)
		if math.Float32bits(f) != uint32(h)<<16 {
			t.Fatalf("BF16ToF32(%#04x) = %g", h, f)
		}
		want := h
		if f != f {
			want |= 0x40
		}
		if got := F32ToBF16(f); got != want {
			t.Fatalf("F32ToBF16(%g) = %#04x, want %#04x", f, got, want)
		}
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		// The midpoint to the next number away from zero, and its neighbours.
		mid := uint32(h)<<16 | 0x8000
		for d, want := range map[uint32]uint16{mid - 1: h, mid: h + h&1, mid + 1: h + 1} {
			if got := F32ToBF16(math.Float32frombits(d)); got != want {
				t.Fatalf("F32ToBF16(bits %#08x) = %#04x, want %#04x", d, got, want)
			}
		}
	}
}

func TestNaNNeverBecomesInfinity(t *testing.T) {
	for _, bits := range []uint32{0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff, 0x7fc00000} {
		f := math.Float32frombits(bits)
		if h := F32ToF16(f); h&0x7fff <= 0x7c00 || h>>15 != uint16(bits>>31) {
			t.Errorf("F32ToF16(NaN %#08x) = %#04x", bits, h)
		}
		if h := F32ToBF16(f); h&0x7fff <= 0x7f80 || h>>15 != uint16(bits>>31) {
			t.Errorf("F32ToBF16(NaN %#08x) = %#04x", bits, h)
		}
	}
}

// A narrowed number is never further away than its two neighbours.
func TestF16NearestAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		f := math.Float32frombits(r.Uint32())
		if f != f || math.Abs(float64(f)) >= 65520 {
			continue
		}
		h := F32ToF16(f)
		d := math.Abs(f16Value(h) - float64(f))
		if n := h &^ 0x8000; n > 0 && math.Abs(f16Value(h-1)-float64(f)) < d || n+1 < 0x7c00 && math.Abs(f16Value(h+1)-float64(f)) < d {
			t.Fatalf("F32ToF16(%g) = %#04x is not the nearest", f, h)
		}
	}
}
