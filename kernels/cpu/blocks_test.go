package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// q8 quantises weights to blocks, some of them with values that only files of
// others hold: -128, and scales that are negative or subnormal.
func q8(t testing.TB, r *rand.Rand, n int) (blocks []byte, w []float32) {
	t.Helper()
	f, err := quant.Lookup("q8_0")
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size(n)
	if err != nil {
		t.Fatal(err)
	}
	blocks, w = make([]byte, size), make([]float32, n)
	if err := f.Encode(blocks, random(r, n)); err != nil {
		t.Fatal(err)
	}
	for b := 0; b < n/f.Block; b += 5 {
		block := blocks[b*f.Bytes : (b+1)*f.Bytes]
		block[1] ^= 0x80
		for i := 2; i < len(block); i += 3 {
			block[i] = 0x80
		}
		if b%2 == 1 {
			block[1] &= 0x80
		}
	}
	if err := f.Decode(w, blocks); err != nil {
		t.Fatal(err)
	}
	return blocks, w
}

// putBlocks makes a tensor of blocks in layout l.
func putBlocks(t testing.TB, b *Backend, blocks []byte, l ir.Layout, shape ...int) kernels.Tensor {
	t.Helper()
	x := put(t, b, ir.Q8_0, nil, l, shape...)
	if err := b.Pack(l, typeOf(x), x.Buffer, 0, blocks); err != nil {
		t.Fatal(err)
	}
	return x
}

// blockCase is one product with weights in blocks.
type blockCase struct {
	m, n, k int
	x, y    ir.DType
	bias    bool
	packed  bool
}

// want is what the product is by its definition, and how far that may be from
// the product of x as it is, in exact arithmetic: what asm.QuantiseRow rounds
// away, half a step of max|x|/127 for each weight, and the rounding of f32,
// one unit for each of about two operations on a block.
func (c blockCase) want(x, bias []float32, blocks []byte, w []float32) (y []float32, exact, allowed []float64) {
	n := c.k / 32
	for i := range c.m {
		q := make([]byte, n*asm.BlockX)
		asm.QuantiseRow(q, x[i*c.k:(i+1)*c.k])
		for j := range c.n {
			var acc float32
			var sum, off, size float64
			for b := range n {
				xs, block, weights := q[b*asm.BlockX:], blocks[(j*n+b)*34:], w[j*c.k+b*32:]
				var whole int32
				var most, total float64
				for l := range 32 {
					whole += int32(int8(xs[8+l])) * int32(int8(block[2+l]))
					v := float64(x[i*c.k+b*32+l])
					sum += v * float64(weights[l])
					most, total = max(most, math.Abs(v)), total+math.Abs(float64(weights[l]))
				}
				d := decode(ir.F32, xs[:4])[0]
				scale := half.F16ToF32(uint16(block[0]) | uint16(block[1])<<8)
				acc = asm.FMA(float32(whole), float32(d*scale), acc)
				off += most / 254 * total
				size += most * total
			}
			if c.bias {
				acc += bias[j]
				sum += float64(bias[j])
				size += math.Abs(float64(bias[j]))
			}
			y, exact = append(y, acc), append(exact, sum)
			allowed = append(allowed, off*(1+1e-6)+size*float64(2*n+2)/(1<<24))
		}
	}
	return y, exact, allowed
}

func (c blockCase) run(t *testing.T, bs map[string]*Backend) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(c.m*1000+c.n), uint64(c.k)))
	x, bias := random(r, c.m*c.k), random(r, c.n)
	for i := 0; i+32 <= len(x); i += 32 * 7 { // blocks of nothing, and of tiny values
		for l := range 32 {
			x[i+l] *= float32(i%2) * 1e-39
		}
	}
	encode(c.x, x)
	blocks, w := q8(t, r, c.n*c.k)
	want, exact, allowed := c.want(x, bias, blocks, w)
	for i, v := range want {
		if off := math.Abs(float64(v) - exact[i]); !(off <= allowed[i]) {
			t.Fatalf("%+v: element %d is %v, exactly %v: off by %g, want at most %g", c, i, v, exact[i], off, allowed[i])
		}
	}
	if c.y != ir.F32 {
		want = decode(c.y, encode(c.y, want))
	}
	for name, b := range bs {
		var l ir.Layout
		if c.packed {
			l = b.Layout("linear", op.LinearAttr{}, 1, ir.T(ir.Q8_0, c.n, c.k))
		}
		in := []kernels.Tensor{put(t, b, c.x, x, "", c.m, c.k), putBlocks(t, b, blocks, l, c.n, c.k)}
		if c.bias {
			in = append(in, put(t, b, ir.F32, bias, "", c.n))
		}
		y := put(t, b, c.y, nil, "", c.m, c.n)
		run(t, b, "linear", op.LinearAttr{OutFeatures: c.n, Bias: c.bias}, in, y)
		for i, v := range get(t, y) {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%s: %+v: element %d is %v, want %v", name, c, i, v, want[i])
			}
		}
	}
}

// Products with weights in blocks are their definition bit for bit in every
// tier, which is as near to the exact product as 8 bits of x allow.
func TestBlockProduct(t *testing.T) {
	for _, threads := range []int{1, 3} {
		bs := backends(t, threads)
		for _, m := range []int{1, 2, 3, 5, 7, 13} {
			for _, n := range []int{1, 31, 32, 100} {
				for _, k := range []int{0, 32, 96, 416} {
					for _, packed := range []bool{true, false} {
						blockCase{m: m, n: n, k: k, x: ir.F32, y: ir.F32, bias: m%2 == 1, packed: packed}.run(t, bs)
					}
				}
			}
		}
		blockCase{m: 3, n: 40, k: 64, x: ir.BF16, y: ir.F16, bias: true, packed: true}.run(t, bs)
		blockCase{m: 2, n: 33, k: 32 * 131, x: ir.F32, y: ir.F32, bias: true}.run(t, bs) // packed in three turns
		blockCase{m: 450, n: 70, k: 64, x: ir.F32, y: ir.F32, packed: true}.run(t, bs)
	}
}

// A value that is not finite makes its row NaN and no other.
func TestBlockProductNotFinite(t *testing.T) {
	for name, b := range backends(t, 1) {
		r := rand.New(rand.NewPCG(1, 2))
		x := random(r, 4*64)
		x[3], x[64+40], x[128] = float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32
		blocks, _ := q8(t, r, 32*64)
		y := put(t, b, ir.F32, nil, "", 4, 32)
		in := []kernels.Tensor{put(t, b, ir.F32, x, "", 4, 64), putBlocks(t, b, blocks, Q8N32, 32, 64)}
		run(t, b, "linear", op.LinearAttr{OutFeatures: 32}, in, y)
		for i, v := range get(t, y) {
			if bad := math.IsNaN(float64(v)); bad != (i < 64) && i/32 != 2 {
				t.Fatalf("%s: element %d is %v", name, i, v)
			}
		}
	}
}

// y = act(x G) * (x U), each product as that of linear.
func TestBlockGated(t *testing.T) {
	const m, n, k = 5, 70, 96
	for name, b := range backends(t, 2) {
		r := rand.New(rand.NewPCG(3, 4))
		x := put(t, b, ir.F32, random(r, m*k), "", m, k)
		var w []kernels.Tensor
		var each [][]float32
		for range 2 {
			blocks, _ := q8(t, r, n*k)
			w = append(w, putBlocks(t, b, blocks, Q8N32, n, k))
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
	const vocab, dim = 70, 96
	b := open(t, Options{Threads: 2})
	r := rand.New(rand.NewPCG(5, 6))
	blocks, w := q8(t, r, vocab*dim)
	ids := []float32{69, 0, 31, 32, 33, 0}
	for _, l := range []ir.Layout{"", Q8N32} {
		if !b.Accepts("embedding", op.EmbeddingAttr{Vocab: vocab, Dim: dim}, 1, ir.T(ir.Q8_0, vocab, dim), l) {
			t.Fatalf("embedding does not read layout %q", l)
		}
		y := put(t, b, ir.F32, nil, "", len(ids), dim)
		in := []kernels.Tensor{put(t, b, ir.I32, ids, "", len(ids)), putBlocks(t, b, blocks, l, vocab, dim)}
		run(t, b, "embedding", op.EmbeddingAttr{Vocab: vocab, Dim: dim}, in, y)
		for i, v := range get(t, y) {
			if want := w[int(ids[i/dim])*dim+i%dim]; v != want {
				t.Fatalf("layout %q: element %d is %v, want %v", l, i, v, want)
			}
		}
	}
}

// Weights in blocks take no more memory than their file, and ops that do not
// read blocks have no kernel for them.
func TestBlockLayouts(t *testing.T) {
	b := open(t, Options{Threads: 1})
	w := ir.T(ir.Q8_0, 64, 96)
	if got := b.LayoutBytes(Q8N32, w); got != w.Bytes() || got != 64*96/32*34 {
		t.Errorf("%d bytes in panels, %d in rows", got, w.Bytes())
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

// Speed of products with weights in blocks: rows times weights of a layer.
func BenchmarkBlockProduct(b *testing.B) {
	const n, k = 2048, 2048
	for _, m := range []int{1, 16, 128, 512} {
		for _, d := range []ir.DType{ir.F32, ir.BF16, ir.Q8_0} {
			for name, be := range backends(b, 1) {
				if name == "generic" {
					continue
				}
				b.Run(fmt.Sprintf("m=%d/%v/%s", m, d, name), func(b *testing.B) { benchBlocks(b, be, d, m, n, k) })
			}
		}
	}
}

// benchBlocks goes through weights that no cache holds.
func benchBlocks(b *testing.B, be *Backend, d ir.DType, m, n, k int) {
	r := rand.New(rand.NewPCG(1, 1))
	x, attr := put(b, be, ir.F32, random(r, m*k), "", m, k), op.LinearAttr{OutFeatures: n}
	l := be.Layout("linear", attr, 1, ir.T(d, n, k))
	var steps []kernels.Step
	for range 16 {
		var w kernels.Tensor
		if d.Blocked() {
			blocks, _ := q8(b, r, n*k)
			w = putBlocks(b, be, blocks, l, n, k)
		} else {
			w = put(b, be, d, random(r, n*k), l, n, k)
		}
		steps = append(steps, bind(b, be, "linear", attr, []kernels.Tensor{x, w}, put(b, be, ir.F32, nil, "", m, n)))
	}
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if err := steps[i%len(steps)](b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(ir.T(d, n, k).Bytes())/seconds/1e9, "GB/s")
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)/seconds/1e9, "GFLOP/s")
}
