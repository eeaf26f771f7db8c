package philox

import (
	"math"
	"testing"
)

// TestPhilox: the known answers that the authors publish (Random123, tests/kat_vectors).
func TestPhilox(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{
			[4]uint32{0, 0, 0, 0}, [2]uint32{0, 0},
			[4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
		},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Bits(c.counter, c.key); got != c.want {
			t.Errorf("%08x under %08x: %08x, want %08x", c.counter, c.key, got, c.want)
		}
	}
}

// TestUniform: the range is [0, 1), with the seed and the position entering whole.
func TestUniform(t *testing.T) {
	mean, all := 0.0, map[float64]bool{}
	const draws = 100_000
	for i := range uint64(draws) {
		u := Uniform(1<<40, i<<20)
		if u < 0 || u >= 1 {
			t.Fatalf("draw %d: %v", i, u)
		}
		mean += u / draws
		all[u] = true
	}
	if mean < 0.497 || mean > 0.503 {
		t.Errorf("mean %v", mean)
	}
	if len(all) != draws {
		t.Errorf("%d of %d draws differ", len(all), draws)
	}
	if a, b := Uniform(1, 0), Uniform(1|1<<40, 0); a == b {
		t.Error("the upper half of the seed counts for nothing")
	}
	if a, b := Uniform(1, 0), Uniform(1, 1<<40); a == b {
		t.Error("the upper half of the position counts for nothing")
	}
}

// TestNormal: mean 0, variance 1, and the tails that a normal distribution has.
func TestNormal(t *testing.T) {
	const draws = 200_000
	var sum, squares float64
	beyond := 0
	for i := range uint64(draws) {
		x := Normal(7, i)
		sum, squares = sum+x, squares+x*x
		if math.Abs(x) > 1.959964 {
			beyond++
		}
	}
	if mean, variance := sum/draws, squares/draws; math.Abs(mean) > 0.01 || math.Abs(variance-1) > 0.02 {
		t.Errorf("mean %v, variance %v", mean, variance)
	}
	if share := float64(beyond) / draws; math.Abs(share-0.05) > 0.002 {
		t.Errorf("%v lie beyond 1.96, want 0.05", share)
	}
}
