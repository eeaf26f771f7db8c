//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/quant"
)

// randomBlocks makes n weights in blocks of random bits, whose scales are finite.
func randomBlocks(t *testing.T, r *rand.Rand, d ir.DType, n int) (blocks []byte, w []float32) {
	t.Helper()
	f, err := quant.Lookup(d.String())
	if err != nil {
		t.Fatal(err)
	}
	blocks, w = make([]byte, n/f.Block*f.Bytes), make([]float32, n)
	for i := range blocks {
		blocks[i] = byte(r.Uint32())
	}
	ends := map[ir.DType][]int{ir.Q2_K: {81, 83}, ir.Q3_K: {109}, ir.Q6_K: {209}, ir.NF4: {3}, ir.Q4_0: {1}, ir.Q8_0: {1}, ir.Q5_0: {1}, ir.IQ4_NL: {1}}[d]
	if ends == nil {
		ends = []int{1, 3}
	}
	for b := 0; b < len(blocks); b += f.Bytes {
		for _, i := range ends { // small exponents
			blocks[b+i] &= 0xa7
		}
	}
	if err := f.Decode(w, blocks); err != nil {
		t.Fatal(err)
	}
	return blocks, w
}

// put makes a tensor of data.
func put(t *testing.T, b *Backend, d ir.DType, l ir.Layout, data []byte, shape ...int) kernels.Tensor {
	t.Helper()
	ty := ir.T(d, shape...)
	buf, err := b.Alloc(b.LayoutBytes(l, ty))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { buf.Free() })
	if data != nil {
		if err := b.Pack(l, ty, buf, 0, data); err != nil {
			t.Fatal(err)
		}
	}
	return kernels.Tensor{Buffer: buf, DType: d, Shape: shape, Layout: l}
}

// product runs an op and returns its result, f32.
func product(t *testing.T, b *Backend, name string, attr any, in []kernels.Tensor, shape ...int) []float32 {
	t.Helper()
	var types []ir.Type
	for _, x := range in {
		types = append(types, ir.T(x.DType, x.Shape...))
	}
	k, ok := b.Kernel(name, attr, types, []ir.Type{ir.T(ir.F32, shape...)})
	if !ok {
		t.Fatalf("no kernel for %s of %v", name, types)
	}
	return outcome(t, b, k, attr, in, types, shape...)
}

// outcome runs a kernel and returns its result, f32.
func outcome(t *testing.T, b *Backend, k kernels.Kernel, attr any, in []kernels.Tensor, types []ir.Type, shape ...int) []float32 {
	t.Helper()
	y := put(t, b, ir.F32, "", nil, shape...)
	args := kernels.Args{Attr: attr, In: in, Out: []kernels.Tensor{y}}
	if n := k.Scratch(attr, types, []ir.Type{ir.T(ir.F32, shape...)}); n > 0 {
		args.Scratch = put(t, b, ir.U8, "", nil, int(n))
	}
	step, err := k.Bind(args)
	if err == nil {
		err = step(t.Context())
	}
	data := make([]byte, 4*y.Len())
	if err == nil {
		err = y.Buffer.Read(0, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, y.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func f32Bytes(x []float32) []byte {
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	return cases.Encode(ir.F32, wide)
}

// Rows of a table are what package quant decodes, bit for bit, whatever the bits
// of a file may be.
func TestBlockRows(t *testing.T) {
	const vocab = 5
	b := open(t)
	for i, d := range slices.Concat(ir.Blocked(), ir.Blocked()) {
		dim := 512
		if size, _ := d.Block(); i >= len(ir.Blocked()) {
			dim = max(64, size)
		}
		data, w := randomBlocks(t, rand.New(rand.NewPCG(1, uint64(d))), d, vocab*dim)
		ids := put(t, b, ir.I32, "", cases.Encode(ir.I32, []float64{4, 0, 1, 2, 3}), vocab)
		y := product(t, b, "embedding", op.EmbeddingAttr{Vocab: vocab, Dim: dim}, []kernels.Tensor{ids, put(t, b, d, Planes, data, vocab, dim)}, vocab, dim)
		for i, v := range y {
			if want := w[(i+4*dim)%len(w)]; v != want {
				t.Fatalf("%v: element %d is %v, want %v", d, i, v, want)
			}
		}
	}
}

// A row of a product has the same bits whatever the other rows are and by whichever
// kernel, and is as near to the exact product as 8 bits of x allow: half a step of
// max|x|/127 for each weight; nf4, for which x is not quantised, to 2^-22 of the terms,
// as a sum in f32 is. The shorter rows are no whole fours of units.
func TestBlockRowAlone(t *testing.T) {
	const m, n = 70, 33
	b := open(t)
	for _, d := range ir.Blocked() {
		for _, k := range []int{512, 192} {
			if size, _ := d.Block(); k%size != 0 {
				continue
			}
			r := rand.New(rand.NewPCG(2, uint64(d)))
			data, w := randomBlocks(t, r, d, n*k)
			x := make([]float32, m*k)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			weight, attr := put(t, b, d, Planes, data, n, k), op.LinearAttr{OutFeatures: n}
			alone := product(t, b, "linear", attr, []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x[:k]), 1, k), weight}, 1, n)
			for _, c := range []struct{ rows, by int }{{3, fewSlots}, {9, fewSlots}, {11, someSlots}, {m, someSlots}, {m, manySlots}} {
				p := blockProduct{b: b, dtype: d, weights: []int{1}, features: n, rows: c.by}
				in := []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x[:c.rows*k]), c.rows, k), weight}
				y := outcome(t, b, p, attr, in, []ir.Type{ir.T(ir.F32, c.rows, k), ir.T(d, n, k)}, c.rows, n)
				for j, v := range alone {
					if math.Float32bits(y[j]) != math.Float32bits(v) {
						t.Fatalf("%v: element %d is %v alone, %v among %d rows by %d", d, j, v, y[j], c.rows, c.by)
					}
				}
				if c.rows == m && c.by == someSlots {
					continue // as many has it
				}
				for i, v := range y {
					exact, allowed := blockSum(x[i/n*k:][:k], w[i%n*k:][:k])
					if d == ir.NF4 {
						allowed = 0
						for e, v := range w[i%n*k:][:k] {
							allowed += math.Abs(float64(v)*float64(x[i/n*k+e])) / (1 << 22)
						}
					}
					if !(math.Abs(float64(v)-exact) <= allowed) {
						t.Fatalf("%v: element %d is %v, exactly %v: want it within %g", d, i, v, exact, allowed)
					}
				}
			}
		}
	}
}

// A gate has the bits of its products by whichever kernel.
func TestBlockGate(t *testing.T) {
	const m, n, k = 67, 40, 256
	b := open(t)
	for _, d := range []ir.DType{ir.Q4_0, ir.Q6_K, ir.NF4} {
		r := rand.New(rand.NewPCG(3, uint64(d)))
		x := make([]float32, m*k)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		in := []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x), m, k)}
		types := []ir.Type{ir.T(ir.F32, m, k), ir.T(d, n, k), ir.T(d, n, k)}
		var parts [2][]float32
		for i := range parts {
			data, _ := randomBlocks(t, r, d, n*k)
			w := put(t, b, d, Planes, data, n, k)
			parts[i] = product(t, b, "linear", op.LinearAttr{OutFeatures: n}, []kernels.Tensor{in[0], w}, m, n)
			in = append(in, w)
		}
		for _, by := range []int{fewSlots, someSlots, manySlots} {
			p := blockProduct{b: b, dtype: d, act: "relu", weights: []int{1, 2}, features: n, rows: by}
			y := outcome(t, b, p, nil, in, types, m, n)
			for i, v := range y {
				if want := max(0, parts[0][i]) * parts[1][i]; v != want {
					t.Fatalf("%v: element %d is %v by %d, want %v", d, i, v, by, want)
				}
			}
		}
	}
}

// blockSum is a sum of products, and how far one with x in 8 bits may be from it.
func blockSum(x, w []float32) (sum, allowed float64) {
	for from := 0; from < len(x); from += 32 {
		var most, weights, wide float64
		for i, v := range x[from : from+32] {
			sum += float64(v) * float64(w[from+i])
			most, weights = max(most, math.Abs(float64(v))), weights+math.Abs(float64(w[from+i]))
			wide = max(wide, math.Abs(float64(w[from+i])))
		}
		allowed += most/254*weights*(1+1e-6) + most*wide*64*float64(len(x)/16+2)/(1<<24)
	}
	return sum, allowed
}

// A value of x that is not finite makes its row NaN, and no other.
func TestBlockNotFinite(t *testing.T) {
	const n, k = 32, 64
	b := open(t)
	x := make([]float32, 3*k)
	x[3], x[k+40], x[2*k] = float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32
	for _, d := range []ir.DType{ir.Q8_0, ir.NF4} {
		data, _ := randomBlocks(t, rand.New(rand.NewPCG(3, 4)), d, n*k)
		y := product(t, b, "linear", op.LinearAttr{OutFeatures: n}, []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x), 3, k), put(t, b, d, Planes, data, n, k)}, 3, n)
		for i, v := range y {
			if math.IsNaN(float64(v)) != (i < 2*n) {
				t.Fatalf("%v: element %d is %v", d, i, v)
			}
		}
	}
}

// Planes take little more than the blocks of a file, and nothing reads others.
func TestPlanes(t *testing.T) {
	b := open(t)
	for _, d := range ir.Blocked() {
		w := ir.T(d, 96, 512)
		if got := b.LayoutBytes(Planes, w); got < w.Bytes() || float64(got) > 1.04*float64(w.Bytes()) {
			t.Errorf("%v: %d bytes in planes, %d in rows", d, got, w.Bytes())
		}
	}
	w := ir.T(ir.Q8_0, 64, 64)
	in := []ir.Type{ir.T(ir.F32, 1, 64), w}
	if _, ok := b.Kernel("linear", op.LinearAttr{OutFeatures: 64, Transpose: true}, in, in[:1]); ok {
		t.Error("linear has a kernel for transposed blocks")
	}
	if b.Accepts("linear", op.LinearAttr{}, 1, w, "") {
		t.Error("linear reads blocks in rows")
	}
	if err := b.Pack("panels", w, nil, 0, make([]byte, w.Bytes())); err == nil {
		t.Error("weights are packed in a layout that there isn't")
	}
}

// A weight that is packed some rows at a time lies as it does when it is packed at once.
func TestPackRows(t *testing.T) {
	b := open(t)
	const rows, width = 7, 768
	for _, d := range ir.Blocked() {
		w := ir.T(d, rows, width)
		c, err := codingOf(d)
		if err != nil {
			t.Fatal(err)
		}
		src := make([]byte, w.Bytes())
		for i := range src {
			src[i] = byte(i*i*7 + i>>3)
		}
		want := make([]byte, b.LayoutBytes(Planes, w))
		c.pack(want, src, rows, width)
		dst, err := b.Alloc(int64(len(want)) + 32)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{1, 1500, packBytes} {
			if err := c.packInto(dst, 32, src, rows, width, piece); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			if err := dst.Read(32, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v, pieces of %d bytes: other planes, %v", d, piece, err)
			}
		}
		if err := dst.Free(); err != nil {
			t.Error(err)
		}
	}
}
