package sampler

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDraw walks u over all of [0, 1) and its ends, in vectors longer than a block.
func TestDraw(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for _, n := range []int{1, 2, 255, 256, 257, 1000} {
		weight := make([]float64, n)
		for i := range weight {
			if i%3 != 1 {
				weight[i] = r.Float64()
			}
		}
		weight[n/2] = 1
		total, running, at := sum(weight), 0.0, 0
		for step := range 5000 {
			u := float64(step) / 5000
			for at < n && running+weight[at] <= u*total {
				running += weight[at]
				at++
			}
			got := draw(weight, u)
			if near := math.Abs(running-u*total) < 1e-9 || at < n && math.Abs(running+weight[at]-u*total) < 1e-9; got != at && !near {
				t.Fatalf("%d weights, u %v: %d, want %d", n, u, got, at)
			}
			if weight[got] == 0 {
				t.Fatalf("%d weights, u %v: %d has no weight", n, u, got)
			}
		}
		if got := draw(weight, math.Nextafter(1, 0)); weight[got] == 0 || got < n-3 {
			t.Errorf("%d weights: the largest u falls on %d", n, got)
		}
	}
	if got := draw([]float64{0, 1, 0, 0}, math.Nextafter(1, 0)); got != 1 {
		t.Errorf("got %d, want the only one with weight", got)
	}
}
