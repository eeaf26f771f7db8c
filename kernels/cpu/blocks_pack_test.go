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
				p.columnOf()(got, block, len(got), j)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%v: packed otherwise", d)
			}
		}
	}
}

// BenchmarkPackBlocks measures how fast weights are packed, in bytes of the file.
func BenchmarkPackBlocks(b *testing.B) {
	const out, in = 4096, 8192
	be := open(b, Options{Threads: 2})
	for _, d := range []ir.DType{ir.Q8_0, ir.Q4_0, ir.Q4_K, ir.Q6_K} {
		p, _ := packingOf(d)
		src, dst := make([]byte, out*in/p.format.Block*p.format.Bytes), make([]byte, out/32*p.panelBytes(in))
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				be.packBlocks(d, dst, src, out, in)
			}
		})
	}
}
