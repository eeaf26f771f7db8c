package cpu

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// y = act(x G) * (x U), each product as that of linear.
func TestBlockGated(t *testing.T) {
	for name, b := range backends(t, 2) {
		for _, d := range byteTypes() {
			for _, m := range []int{1, 5} {
				testBlockGated(t, name, b, d, m, 256)
			}
			testBlockGated(t, name, b, d, 3, 2048)
		}
	}
}

func testBlockGated(t *testing.T, name string, b *Backend, d ir.DType, m, k int) {
	const n = 100
	{
		r := rand.New(rand.NewPCG(3, 4))
		x := put(t, b, ir.F32, random(r, m*k), "", m, k)
		var w []kernels.Tensor
		var each [][]float32
		for range 2 {
			blocks, _ := blocksOf(t, r, d, n*k)
			w = append(w, putBlocks(t, b, d, blocks, b.Layout("gated_linear", op.GatedLinearAttr{}, 1, ir.T(d, n, k)), n, k))
			y := put(t, b, ir.F32, nil, "", m, n)
			act := map[int]string{1: "silu"}[len(w)]
			run(t, b, "linear", op.LinearAttr{OutFeatures: n, Act: act}, []kernels.Tensor{x, w[len(w)-1]}, y)
			each = append(each, get(t, y))
		}
		y := put(t, b, ir.F32, nil, "", m, n)
		run(t, b, "gated_linear", op.GatedLinearAttr{OutFeatures: n, Act: "silu"}, []kernels.Tensor{x, w[0], w[1]}, y)
		for i, v := range get(t, y) {
			if want := each[0][i] * each[1][i]; v != want {
				t.Fatalf("%s: element %d is %v, want %v", name, i, v, want)
			}
		}
	}
}

// Rows of a table in blocks are what package quant decodes, however they lie.
func TestBlockEmbedding(t *testing.T) {
	const vocab, dim = 70, 512
	ids := []float32{69, 0, 31, 32, 33, 0}
	for name, b := range backends(t, 2) {
		for _, d := range ir.Blocked() {
			blocks, w := blocksOf(t, rand.New(rand.NewPCG(5, 6)), d, vocab*dim)
			layouts := []ir.Layout{""}
			if l := b.Layout("linear", op.LinearAttr{}, 1, ir.T(d, vocab, dim)); l != "" { // tied to a product
				layouts = append(layouts, l)
			}
			for _, l := range layouts {
				if !b.Accepts("embedding", op.EmbeddingAttr{Vocab: vocab, Dim: dim}, 1, ir.T(d, vocab, dim), l) {
					t.Fatalf("embedding does not read layout %q of %v", l, d)
				}
				y := put(t, b, ir.F32, nil, "", len(ids), dim)
				in := []kernels.Tensor{put(t, b, ir.I32, ids, "", len(ids)), putBlocks(t, b, d, blocks, l, vocab, dim)}
				run(t, b, "embedding", op.EmbeddingAttr{Vocab: vocab, Dim: dim}, in, y)
				for i, v := range get(t, y) {
					if want := w[int(ids[i/dim])*dim+i%dim]; v != want && !(math.IsNaN(float64(v)) && math.IsNaN(float64(want))) {
						t.Fatalf("%s: %v in layout %q: element %d is %v, want %v", name, d, l, i, v, want)
					}
				}
			}
		}
	}
}

// Weights in blocks take no more memory than their file, and ops that do not
// read blocks have no kernel for them.
func TestBlockLayouts(t *testing.T) {
	b := open(t, Options{Threads: 1})
	w := ir.T(ir.Q8_0, 64, 96)
	for _, d := range ir.Blocked() {
		w := ir.T(d, 96, 512)
		if !packs(d) {
			continue
		}
		if got := b.LayoutBytes(BN32, w); got < w.Bytes() || float64(got) > 1.04*float64(w.Bytes()) {
			t.Errorf("%v: %d bytes in panels, %d in rows", d, got, w.Bytes())
		}
	}
	for tier, b := range backends(t, 1) {
		for d, inRows := range map[ir.DType]bool{ir.Q8_0: true, ir.Q4_0: true, ir.Q4_K: true, ir.Q6_K: true, ir.Q4_1: true, ir.Q5_K: true, ir.Q5_0: false, ir.NF4: false} {
			want := BN32
			if inRows { // as files have them, so that they are mapped
				want = ""
			}
			if l := b.Layout("linear", op.LinearAttr{}, 1, ir.T(d, 96, 512)); l != want {
				t.Errorf("%s: a weight in %v is to be laid out as %q, want %q", tier, d, l, want)
			}
		}
	}
	if l := b.Layout("linear", op.LinearAttr{Transpose: true}, 1, w); l != "" {
		t.Errorf("a transposed weight is to be laid out as %q", l)
	}
	for _, c := range []struct {
		name string
		attr any
		in   []ir.Type
		out  ir.Type
	}{
		{"linear", op.LinearAttr{OutFeatures: 96, Transpose: true}, []ir.Type{ir.T(ir.F32, 2, 64), w}, ir.T(ir.F32, 2, 96)},
		{"gather", op.AxisAttr{}, []ir.Type{w, ir.T(ir.I32, 3)}, ir.T(ir.Q8_0, 3, 96)},
		{"add", nil, []ir.Type{w, w}, w},
		{"gated_linear", op.GatedLinearAttr{OutFeatures: 64}, []ir.Type{ir.T(ir.F32, 2, 96), w, ir.T(ir.F32, 64, 96)}, ir.T(ir.F32, 2, 64)},
	} {
		if _, ok := b.Kernel(c.name, c.attr, c.in, []ir.Type{c.out}); ok {
			t.Errorf("%s has a kernel for %v", c.name, c.in)
		}
	}
}

// Parts cover all units once, in order, and end with small ones.
func TestGuided(t *testing.T) {
	for _, n := range []int{0, 1, 5, 64, 1000} {
		from := guided(n, 4, 2)
		if from[0] != 0 || from[len(from)-1] != n {
			t.Errorf("%d units: parts %v", n, from)
		}
		for i := 1; i < len(from); i++ {
			if size := from[i] - from[i-1]; size < 1 || size > 4 || i == len(from)-1 && size > 1 {
				t.Errorf("%d units: part %d of %v", n, i, from)
			}
		}
	}
}

// What packs one format gives the bytes of what packs all.
func TestColumnOf(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, d := range byteTypes() {
		p, _ := packingOf(d)
		if p.coding.InRows() {
			continue
		}
		block, got, want := make([]byte, p.format.Bytes), make([]byte, p.superBytes()), make([]byte, p.superBytes())
		for i := range block {
			block[i] = byte(r.Uint32())
		}
		for _, j := range []int{0, 1, 17, 31} {
			p.column(want, block, j)
			p.columnOf()(got, block, len(got), j)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: packed otherwise", d)
		}
	}
}
