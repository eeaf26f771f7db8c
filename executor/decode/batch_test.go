package decode

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Every call that a batch makes is among those that were planned for; calls are
// of use, and no longer than there is room for.
func TestShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rows, context := 1+r.IntN(20), 4+r.IntN(1000)
		prompts := make([]int, 1+r.IntN(30))
		for i := range prompts {
			prompts[i] = 1 + r.IntN(1+r.IntN(context))
		}
		planned := Shapes(prompts, rows, context)
		for group := range slices.Chunk(longestFirst(prompts), rows) {
			pending := make([]int, len(group))
			for i, at := range group {
				pending[i] = prompts[at]
			}
			for pending[0] > 0 {
				s := promptShape(pending, context)
				if !slices.Contains(planned, s) {
					t.Fatalf("%v, %d at once: %+v is not planned for", prompts, rows, s)
				}
				if s.Size > context || s.Rows > Places(len(prompts), rows) || s.Size > 8 && s.Rows*s.Size > limit {
					t.Fatalf("%+v for %v, of %d positions", s, pending, context)
				}
				for i := range pending {
					pending[i] = max(0, pending[i]-s.Size)
				}
				if !slices.IsSortedFunc(pending, func(a, b int) int { return b - a }) {
					t.Fatalf("the longest is not first: %v", pending)
				}
			}
			for n := range group {
				if !slices.Contains(planned, Shape{rowsFor(n + 1), 1}) {
					t.Fatalf("no call for a token of %d", n+1)
				}
			}
		}
	}
	for n, want := range map[int]int{1: 1, 3: 3, 4: 4, 5: 6, 7: 8, 8: 8, 9: 12, 13: 16, 17: 24, 256: 256} {
		if got := rowsFor(n); got != want {
			t.Errorf("a call for %d is of %d, want %d", n, got, want)
		}
	}
}
