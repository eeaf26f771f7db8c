package compiler

import (
	"math/rand/v2"
	"testing"
)

// TestArrange places random blocks and checks that none that live at the same
// time overlap, that all are aligned, and that little is wasted.
func TestArrange(t *testing.T) {
	const align = 64
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		blocks := make([]*block, 1+r.IntN(60))
		var most, now int64
		for i := range blocks {
			start := r.IntN(40)
			blocks[i] = &block{bytes: r.Int64N(5000), start: start, end: start + r.IntN(10)}
		}
		for at := range 50 {
			now = 0
			for _, b := range blocks {
				if b.start <= at && at <= b.end {
					now += roundUp(b.bytes, align)
				}
			}
			most = max(most, now)
		}
		size := arrange(blocks, align)
		for i, a := range blocks {
			if a.offset%align != 0 || a.offset+a.bytes > size {
				t.Fatalf("block of %d bytes at %d in %d", a.bytes, a.offset, size)
			}
			for _, b := range blocks[:i] {
				apart := a.end < b.start || b.end < a.start || a.offset+a.bytes <= b.offset || b.offset+b.bytes <= a.offset
				if !apart && a.bytes > 0 && b.bytes > 0 {
					t.Fatalf("blocks overlap: %+v and %+v", *a, *b)
				}
			}
		}
		if size < most || size > most*3/2+align {
			t.Errorf("%d bytes for blocks of which %d live at once", size, most)
		}
	}
}
