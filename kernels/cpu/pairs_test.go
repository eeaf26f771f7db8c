package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/half"
)

// pairBackend is a backend whose products of bf16 go by pairs: by the
// machine's instruction, if the tier has it, or else by one that is emulated
// and counts its calls.
type pairBackend struct {
	*Backend
	emulated    bool
	fast, split atomic.Int64 // tiles, if emulated
}

func pairBackends(t *testing.T) []*pairBackend {
	var out []*pairBackend
	for _, b := range backends(t, 2) {
		p := &pairBackend{Backend: b}
		if out = append(out, p); b.asm.BF16.ByRow != nil {
			continue
		}
		b.asm.BF16, p.emulated = asm.GenericPairs(), true
		for _, l := range []struct {
			to    *[]asm.Strided
			byRow bool
			flush bool
		}{{&b.asm.BF16.ByRow, true, true}, {&b.asm.BF16.ByCol, false, true}, {&b.asm.BF16.SplitByRow, true, false}, {&b.asm.BF16.SplitByCol, false, false}} {
			*l.to = []asm.Strided{nil}
			for m := 1; m <= b.asm.Rows; m++ {
				*l.to = append(*l.to, p.tile(m, l.byRow, l.flush))
			}
		}
	}
	return out
}

// tile is a tile of m rows, which takes subnormal numbers for zero if flush.
func (p *pairBackend) tile(m int, byRow, flush bool) asm.Strided {
	calls := &p.split
	normal := func(x float32) float32 { return x }
	if flush {
		calls = &p.fast
		normal = func(x float32) float32 {
			if math.Abs(float64(x)) < 0x1p-126 {
				return float32(math.Copysign(0, float64(x)))
			}
			return x
		}
	}
	float := func(x uint32) float32 { return normal(math.Float32frombits(x)) }
	const upper = 0xffff0000
	return func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, load int) {
		calls.Add(1)
		down, along := lda, 1
		if !byRow {
			down, along = 1, lda
		}
		x := unsafe.Slice((*uint32)(unsafe.Pointer(a)), (m-1)*down+(k-1)*along+1)
		w := unsafe.Slice((*uint32)(unsafe.Pointer(b)), (k-1)*ldb+asm.Panel)
		y := unsafe.Slice(c, (m-1)*ldc+asm.Panel)
		for i := range m {
			for j := range asm.Panel {
				acc := float32(0)
				if load != 0 {
					acc = normal(y[i*ldc+j])
				}
				for l := range k {
					u, v := x[i*down+l*along], w[l*ldb+j]
					acc = normal(asm.FMA(float(u&upper), float(v&upper), acc))
					acc = normal(asm.FMA(float(u<<16), float(v<<16), acc))
				}
				if bias != nil {
					acc += unsafe.Slice(bias, asm.Panel)[j]
				}
				y[i*ldc+j] = acc
			}
		}
	}
}

// Products of bf16 with bf16 by pairs are the chain over k, in every form and
// for numbers of every size.
func TestPairs(t *testing.T) {
	for _, b := range pairBackends(t) {
		t.Run(b.Tier(), func(t *testing.T) { testPairs(t, b) })
	}
}

func testPairs(t *testing.T, b *pairBackend) {
	for _, s := range []struct{ m, n, k int }{{4, 33, 16}, {5, 7, 65}, {13, 64, 33}, {26, 40, 130}, {6, 33, 1025}, {4, 32, 2100}, {150, 33, 17}} {
		for trans := range 4 {
			testMatmul(t, b.Backend, s.m, s.n, s.k, op.MatMulAttr{TransA: trans&1 == 1, TransB: trans&2 == 2}, ir.BF16)
		}
	}
	d := ir.BF16
	for i, c := range []linearCase{
		{m: 4, n: 150, k: 40, x: d, w: d, y: d, packed: true, bias: true},
		{m: 17, n: 33, k: 41, x: d, w: d, y: ir.F32, packed: true},
		{m: 30, n: 40, k: 1100, x: d, w: d, y: d, packed: true, bias: true, transpose: true, act: "silu"},
		{m: 17, n: 70, k: 43, x: d, w: d, y: d, bias: true},
		{m: 17, n: 70, k: 43, x: d, w: d, y: ir.F32, transpose: true, bias: true},
		{m: 130, n: 20, k: 64, x: d, w: d, y: ir.F32},
	} {
		c.run(t, b.Backend, uint64(i))
	}
	for _, l := range []ir.Layout{N32, ""} {
		testGated(t, b.Backend, 5, 70, 33, d, d, l)
	}
	if b.emulated && (b.fast.Load() == 0 || b.split.Load() != 0) {
		t.Errorf("%d tiles went by pairs, and %d by halves, want all and none", b.fast.Load(), b.split.Load())
	}
	testSmallPairs(t, b)
}

// testSmallPairs takes rows and columns of which some are so small that their
// products, or what is left where these cancel, are subnormal.
func testSmallPairs(t *testing.T, b *pairBackend) {
	const m, n, k = 20, 70, 1100
	r := rand.New(rand.NewPCG(23, 24))
	x, w := random(r, m*k), random(r, n*k)
	for i := range x {
		if row := i / k; row < 12 && i%k < 40 || row == 15 && i%k > 1050 {
			x[i] *= 0x1p-70
		}
	}
	for i := range w {
		if j := i / k; j == 33 || j == 60 && i%k < 100 {
			w[i] *= 0x1p-60
		} else if j == 69 {
			w[i] *= 0x1p-131
		}
	}
	for _, transpose := range []bool{false, true} {
		at := op.MatMulAttr{TransA: transpose, TransB: !transpose}
		ash, bsh := []int{m, k}, []int{n, k}
		xs, ws := x, w
		if transpose {
			ash, bsh, xs, ws = []int{k, m}, []int{k, n}, turned(x, m, k), turned(w, n, k)
		}
		in := []kernels.Tensor{put(t, b.Backend, ir.BF16, xs, "", ash...), put(t, b.Backend, ir.BF16, ws, "", bsh...)}
		y := put(t, b.Backend, ir.F32, nil, "", m, n)
		run(t, b.Backend, "matmul", at, in, y)
		want := make([]float32, m*n)
		for i := range want {
			want[i] = chain(func(l int) float32 { return bf16(x[i/n*k+l]) }, func(l int) float32 { return bf16(w[i%n*k+l]) }, k)
		}
		sameBits(t, fmt.Sprintf("%s: small numbers, transposed %v", b.Tier(), transpose), get(t, y), want)
		if b.emulated && b.split.Swap(0) == 0 {
			t.Errorf("%s: small numbers, transposed %v: no tile went by halves", b.Tier(), transpose)
		}
	}
}

func bf16(x float32) float32 { return half.BF16ToF32(half.F32ToBF16(x)) }

// turned is the transpose of rows of k.
func turned(x []float32, rows, k int) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i%k*rows+i/k] = v
	}
	return y
}

// A product by pairs takes no memory while it runs.
func TestPairsDoNotAllocate(t *testing.T) {
	for _, b := range pairBackends(t) {
		for trans := range 4 {
			at := op.MatMulAttr{TransA: trans&1 == 1, TransB: trans&2 == 2}
			in := []kernels.Tensor{put(t, b.Backend, ir.BF16, nil, "", 33, 33), put(t, b.Backend, ir.BF16, nil, "", 33, 33)}
			step := bind(t, b.Backend, "matmul", at, in, put(t, b.Backend, ir.BF16, nil, "", 33, 33))
			if n := testing.AllocsPerRun(20, func() { _ = step(t.Context()) }); n != 0 {
				t.Errorf("%s: %+v: %v allocations a step", b.Tier(), at, n)
			}
		}
	}
}
