package data

import (
	"fmt"
	"testing"
)

func TestPermutation(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 4, 5, 17, 64, 65, 1000, 4097, 100_000} {
		for key := range uint64(4) {
			p := newPermutation(n, key)
			seen := make([]bool, n)
			fixed := 0
			for i := range n {
				j := p.at(i)
				if j < 0 || j >= n || seen[j] {
					t.Fatalf("n %d key %d: %d goes to %d, a second time or outside", n, key, i, j)
				}
				if seen[j] = true; i == j {
					fixed++
				}
			}
			if n > 1000 && fixed > 12 { // one is expected
				t.Errorf("n %d key %d: %d places stay", n, key, fixed)
			}
		}
	}
	// Each of the 24 orders of four, and each place of the first of a hundred, comes about equally often.
	orders, first := map[string]int{}, make([]int, 100)
	const keys = 24_000
	for key := range uint64(keys) {
		p := newPermutation(4, random(key, 0))
		orders[fmt.Sprint(p.at(0), p.at(1), p.at(2), p.at(3))]++
		p = newPermutation(100, random(key, 1))
		first[p.at(0)]++
	}
	if x := chiSquared(keys, mapValues(orders)); len(orders) != 24 || x > 50 { // 23 degrees of freedom: p = 0.001
		t.Errorf("%d orders, chi squared %.1f", len(orders), x)
	}
	if x := chiSquared(keys, first); x > 149 { // 99 degrees of freedom: p = 0.001
		t.Errorf("chi squared %.1f", x)
	}
}

func mapValues(m map[string]int) (out []int) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func chiSquared(n int, counts []int) (x float64) {
	want := float64(n) / float64(len(counts))
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	return x
}
