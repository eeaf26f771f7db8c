package cpu

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
)

// The functions that pack one format give the bytes of the one for all.
func TestColumnOf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, d := range ir.Blocked() {
		p, ok := packingOf(d)
		if !ok {
			continue
		}
		block := make([]byte, p.format.Bytes)
		for range 20 {
			for i := range block {
				block[i] = byte(r.Uint32())
			}
			want, got := make([]byte, p.superBytes()), make([]byte, p.superBytes())
			for _, j := range []int{0, 1, 17, 31} {
				p.column(want, block, j)
				p.columnOf()(got, block, j)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%v: packed otherwise", d)
			}
		}
	}
}
