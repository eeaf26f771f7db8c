package cpu

import (
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

// byteTypes are the types in blocks that are multiplied in bytes.
func byteTypes() (list []ir.DType) {
	for _, d := range ir.Blocked() {
		if _, ok := packingOf(d); ok {
			list = append(list, d)
		}
	}
	return list
}

// blocksOf makes n weights in blocks: random bits, which hold whatever files of
// others may, with scales that are finite, some of them negative or subnormal.
func blocksOf(t testing.TB, r *rand.Rand, d ir.DType, n int) (blocks []byte, w []float32) {
	t.Helper()
	f, err := quant.Lookup(d.String())
	if err != nil {
		t.Fatal(err)
	}
	blocks, w = make([]byte, n/f.Block*f.Bytes), make([]float32, n)
	for i := range blocks {
		blocks[i] = byte(r.Uint32())
	}
	for b := 0; b < len(blocks); b += f.Bytes {
		for _, i := range map[ir.DType][]int{ir.Q2_K: {81, 83}, ir.Q3_K: {109}, ir.Q6_K: {209}, ir.Q4_0: {1}, ir.Q8_0: {1}, ir.Q5_0: {1}, ir.IQ4_NL: {1}}[d] {
			blocks[b+i] &= 0xa7
		}
		if p := f.Parts(blocks[b:]); d != ir.Q2_K && (p.M != 0 || p.D&0x7c00 == 0x7c00) {
			blocks[b+1] &= 0xa7
			blocks[b+3] &= 0xa7
		}
	}
	if err := f.Decode(w, blocks); err != nil {
		t.Fatal(err)
	}
	return blocks, w
}

// putBlocks makes a tensor of blocks in layout l.
func putBlocks(t testing.TB, b *Backend, d ir.DType, blocks []byte, l ir.Layout, shape ...int) kernels.Tensor {
	t.Helper()
	x := put(t, b, d, nil, l, shape...)
	if err := b.Pack(l, typeOf(x), x.Buffer, 0, blocks); err != nil {
		t.Fatal(err)
	}
	return x
}

// blockCase is one product with weights in blocks.
type blockCase struct {
	d       ir.DType // of the weights
	m, n, k int
	x, y    ir.DType
	bias    bool
	packed  bool
}

// want is what the product is by its definition, and how far that may be from
// the product of x as it is, in exact arithmetic: what asm.Quantise rounds away,
// half a step of max|x|/127 for each weight, and the rounding of f32, one unit for
// each of about two operations on a scale.
func (c blockCase) want(x, bias []float32, blocks []byte, w []float32) (y []float32, exact, allowed []float64) {
	f, _ := quant.Lookup(c.d.String())
	for i := range c.m {
		for j := range c.n {
			var acc float32
			var sum, off, size float64
			for b := range c.k / 32 {
				at := (j*c.k + b*32) / f.Block * f.Bytes
				xs, weights := x[i*c.k+b*32:][:32], w[j*c.k+b*32:][:32]
				acc = c.block(acc, xs, blocks[at:at+f.Bytes], b%(f.Block/32))
				var most, total, wide float64
				for l, v := range xs {
					sum += float64(v) * float64(weights[l])
					most, total = max(most, math.Abs(float64(v))), total+math.Abs(float64(weights[l]))
					wide = max(wide, math.Abs(float64(weights[l])))
				}
				off += most / 254 * total
				size += most * wide * 64
			}
			if c.bias {
				acc += bias[j]
				sum += float64(bias[j])
				size += math.Abs(float64(bias[j]))
			}
			y, exact = append(y, acc), append(exact, sum)
			allowed = append(allowed, off*(1+1e-6)+size*float64(2*(c.k/32)+2)/(1<<24))
		}
	}
	return y, exact, allowed
}

// block adds the product of 32 values of x with small block b of a block.
func (c blockCase) block(acc float32, x []float32, block []byte, b int) float32 {
	f, _ := quant.Lookup(c.d.String())
	var most float32
	for _, v := range x {
		most = max(most, float32(math.Abs(float64(v))))
	}
	d, parts, codes := most/127, f.Parts(block), f.Codes(block, b)
	if d < 0x1p-126 {
		d = 0
	}
	group := min(f.Small(), 32)
	for lo := 0; lo < 32; lo += group {
		var dot, sum, offset int
		for l := lo; l < lo+group; l++ {
			q := 0
			if d > 0 {
				q = int(math.RoundToEven(float64(float32(x[l] * (1 / d)))))
			}
			code := int(codes[l/4] >> (l % 4 * 8) & 255)
			if c.d == ir.IQ4_NL {
				code = int(quant.Levels()[code])
			}
			dot, sum = dot+q*code, sum+q
		}
		scale, s := half.F16ToF32(parts.D), (b*32+lo)/f.Small()
		m := half.F16ToF32(parts.M)
		least := true
		switch c.d {
		case ir.Q4_1, ir.Q5_1:
		case ir.Q4_G32, ir.Q4_G64, ir.Q4_G128:
			m = -float32(scale * m)
		case ir.Q4_K, ir.Q5_K, ir.Q2_K:
			scale, m = scale*float32(parts.Scale[s]), -float32(m*float32(parts.Least[s]))
		default:
			least, offset = false, map[ir.DType]int{ir.Q8_0: 128, ir.Q4_0: 8, ir.Q5_0: 16, ir.Q6_K: 32, ir.Q3_K: 4}[c.d]
			if f.Small() == 16 {
				scale *= float32(parts.Scale[s])
			}
		}
		acc = asm.FMA(float32(dot-offset*sum), float32(d*scale), acc)
		if least {
			acc = asm.FMA(float32(d*float32(sum)), m, acc)
		}
	}
	return acc
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
	blocks, w := blocksOf(t, r, c.d, c.n*c.k)
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
			l = b.Layout("linear", op.LinearAttr{}, 1, ir.T(c.d, c.n, c.k))
		}
		in := []kernels.Tensor{put(t, b, c.x, x, "", c.m, c.k), putBlocks(t, b, c.d, blocks, l, c.n, c.k)}
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
		for _, d := range byteTypes() {
			block, _ := d.Block()
			for _, m := range []int{1, 2, 7} {
				for _, k := range []int{0, block, 3 * block} {
					n := 1 + m%2*40
					blockCase{d: d, m: m, n: n, k: k, x: ir.F32, y: ir.F32, bias: m%2 == 1, packed: threads == 1}.run(t, bs)
				}
			}
			blockCase{d: d, m: 3, n: 40, k: 256, x: ir.BF16, y: ir.F16, bias: true, packed: true}.run(t, bs)
			blockCase{d: d, m: 1 + threads, n: 33, k: 8 * 256, x: ir.F32, y: ir.F32, bias: true, packed: threads == 3}.run(t, bs) // in turns
		}
		for _, d := range []ir.DType{ir.Q4_0, ir.Q8_0, ir.Q4_K, ir.IQ4_NL, ir.Q4_G64, ir.Q6_K} { // by tiles, where there are such
			block, _ := d.Block()
			for i, m := range []int{23, 24, 25, 61, 100} {
				blockCase{d: d, m: m, n: 32 + m%2*32 + i%3, k: (m % 3) * 1280 / block * block, x: ir.F32, y: ir.F32, bias: i%2 == 1, packed: threads == 3}.run(t, bs)
			}
		}
		blockCase{d: ir.Q8_0, m: 450, n: 40, k: 64, x: ir.F32, y: ir.F32, packed: true}.run(t, bs)
		for i, d := range []ir.DType{ir.Q8_0, ir.Q4_0, ir.Q4_1, ir.Q4_K, ir.Q5_K, ir.Q6_K} { // long rows, in streams, and what is left over
			for m := 1; m <= fewRows; m++ {
				blockCase{d: d, m: m, n: 167 + i%2*950, k: 2048, x: ir.F32, y: []ir.DType{ir.F32, ir.BF16}[m%2], bias: i%3 > 0}.run(t, bs)
			}
		}
	}
}

// A value that is not finite makes its row NaN and no other.
func TestBlockProductNotFinite(t *testing.T) {
	for name, b := range backends(t, 1) {
		r := rand.New(rand.NewPCG(1, 2))
		x := random(r, 4*64)
		x[3], x[64+40], x[128] = float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32
		blocks, _ := blocksOf(t, r, ir.Q8_0, 32*64)
		y := put(t, b, ir.F32, nil, "", 4, 32)
		in := []kernels.Tensor{put(t, b, ir.F32, x, "", 4, 64), putBlocks(t, b, ir.Q8_0, blocks, "", 32, 64)}
		run(t, b, "linear", op.LinearAttr{OutFeatures: 32}, in, y)
		for i, v := range get(t, y) {
			if bad := math.IsNaN(float64(v)); bad != (i < 64) && i/32 != 2 {
				t.Fatalf("%s: element %d is %v", name, i, v)
			}
		}
	}
}
