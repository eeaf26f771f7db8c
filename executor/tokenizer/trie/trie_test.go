package trie

import (
	"math/rand/v2"
	"testing"
)

// TestTrie looks up random texts by the trie and by a map.
func TestTrie(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, rng.IntN(6))
		for i := range b {
			b[i] = byte(rng.IntN(20) * 13)
		}
		return string(b)
	}
	for range 200 {
		var pieces []string
		known := map[string]int32{}
		for i := range rng.IntN(400) {
			p := text()
			pieces = append(pieces, p)
			known[p] = int32(i)
		}
		tr := New(pieces)
		for range 200 {
			s := text()
			if s == "" {
				continue
			}
			want, ok := known[s]
			if !ok {
				want = -1
			}
			got := int32(-1)
			if n := tr.Walk(Root, s); n >= 0 {
				got = tr.Piece(n)
			}
			if got != want {
				t.Fatalf("%q: piece %d, want %d", s, got, want)
			}
		}
	}
}
