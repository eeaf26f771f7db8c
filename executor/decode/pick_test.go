package decode

import (
	"slices"
	"testing"
)

// Prompts are cut so that few positions are computed in vain, and on a device of its own into few calls.
func TestPick(t *testing.T) {
	sizes := []int{1, 8, 16, 32, 128, 512}
	for _, c := range []struct {
		n            int
		host, device []int
	}{
		{1, []int{1}, []int{1}},
		{2, []int{1, 1}, []int{8}},
		{3, []int{8}, []int{8}},
		{9, []int{8, 1}, []int{16}},
		{10, []int{16}, []int{16}},
		{17, []int{16, 1}, []int{32}},
		{24, []int{16, 8}, []int{32}},
		{25, []int{32}, []int{32}},
		{40, []int{32, 8}, []int{128}},
		{100, []int{32, 32, 32, 8}, []int{128}},
		{120, []int{128}, []int{128}},
		{300, []int{128, 128, 32, 16}, []int{512}},
		{512, []int{512}, []int{512}},
		{1100, []int{512, 512, 32, 32, 16}, []int{512, 512, 128}},
	} {
		for perCall, want := range map[int][]int{hostCall: c.host, deviceCall: c.device} {
			var got []int
			for n := c.n; n > 0; n -= got[len(got)-1] {
				got = append(got, sizes[pick(sizes, perCall, n)])
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d positions, a call like %d: %v, want %v", c.n, perCall, got, want)
			}
		}
	}
	if i := pick([]int{1}, hostCall, 5); i != 0 {
		t.Errorf("with one size: %d", i)
	}
}
