//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cuda/emulator"
)

// normals are n normal numbers as type d has them, and their bytes.
func normals(r *rand.Rand, d ir.DType, n int) ([]float64, []byte) {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	data := cases.Encode(d, x)
	return cases.Decode(d, data), data
}

// tensorCase is a product on tensor cores: x [m, k], or [k, m] if it is not along;
// w [n, k] or [k, n]. Two of f32 are rounded to tf32.
type tensorCase struct {
	x, w             ir.DType
	xAlong, wAlong   bool
	m, n, k          int
	left, right      []float64
	xBuffer, wBuffer kernels.Tensor
}

func newTensorCase(t *testing.T, b *Backend, c tensorCase) *tensorCase {
	r := rand.New(rand.NewPCG(uint64(c.k), uint64(c.n)))
	x, xs := normals(r, c.x, c.m*c.k)
	w, ws := normals(r, c.w, c.n*c.k)
	if c.left, c.right = x, w; c.x == ir.F32 && c.w == ir.F32 {
		c.left, c.right = tf32s(x), tf32s(w)
	}
	c.xBuffer, c.wBuffer = put(t, b, c.x, "", xs, c.m, c.k), put(t, b, c.w, "", ws, c.n, c.k)
	return &c
}

// tf32s are numbers rounded to 10 bits of fraction, to nearest, ties away from 0.
func tf32s(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		frac, exp := math.Frexp(v)
		out[i] = math.Ldexp(math.Round(math.Ldexp(frac, 11)), exp-11)
	}
	return out
}

// run computes the first rows of the product by a form, to a place that is no
// multiple of 16 bytes.
func (c *tensorCase) run(t *testing.T, b *Backend, f form, rows int) []byte {
	t.Helper()
	y := put(t, b, ir.F32, "", bytes.Repeat([]byte{0xff}, 4*rows*c.n+4), rows*c.n+1)
	at, err := b.pointers(y, c.xBuffer, c.wBuffer)
	if err != nil {
		t.Fatal(err)
	}
	p := &matmulParams{y: at[0] + 4, a: at[1], b: at[2], m: uint64(rows), n: uint64(c.n), k: uint64(c.k), batch: walk[strides2]{n: 1}, aCode: codes[c.x], bCode: codes[c.w]}
	p.aRow, p.aColumn, p.bRow, p.bColumn = int64(c.k), 1, 1, int64(c.k)
	if !c.xAlong {
		p.aRow, p.aColumn = 1, int64(c.m)
	}
	if !c.wAlong {
		p.bRow, p.bColumn = int64(c.n), 1
	}
	step, err := b.onTensorCores(p, p.family(c.x, c.w, true), f)
	if err == nil {
		err = step(t.Context())
	}
	out := make([]byte, 4*rows*c.n)
	if err == nil {
		err = y.Buffer.Read(4, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// far says how far a result is at most from the exact one, by what sums in f32 may
// be: a rounding of the greatest sum for each product.
func (c *tensorCase) far(y []byte) error {
	for i, v := range cases.Decode(ir.F32, y) {
		var sum, sizes float64
		for l := range c.k {
			xi, wi := i/c.n*c.k+l, i%c.n*c.k+l
			if !c.xAlong {
				xi = l*c.m + i/c.n
			}
			if !c.wAlong {
				wi = l*c.n + i%c.n
			}
			product := c.left[xi] * c.right[wi]
			sum, sizes = sum+product, sizes+math.Abs(product)
		}
		if !(math.Abs(v-sum) <= sizes*math.Sqrt(float64(c.k))/(1<<24)) {
			return fmt.Errorf("row %d, column %d is %v, want %v", i/c.n, i%c.n, v, sum)
		}
	}
	return nil
}

// noConflicts returns what fails if ldmatrix has met conflicts of banks since.
func noConflicts(t *testing.T) func() {
	library := emulator.Library(t, ".")
	before, err := emulator.Count(library, "conflicts")
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if after, err := emulator.Count(library, "conflicts"); err != nil || after != before {
			t.Errorf("%d conflicts of banks (%v)", after-before, err)
		}
	}
}

// A product on tensor cores has the same bits by each form, and a row the same
// whatever the number of rows; and they are those of a sum in f32. No form reads
// shared memory in turns.
func TestTensorFormsAlike(t *testing.T) {
	library := libcuda(t)
	b := open(t)
	defer noConflicts(t)()
	defer emulator.Set(library, "eager=0")
	for i, c := range []tensorCase{
		{x: ir.BF16, w: ir.BF16, xAlong: true, wAlong: true, m: 35, n: 67, k: 1048},
		{x: ir.BF16, w: ir.BF16, xAlong: true, wAlong: true, m: 3, n: 19, k: 4611},
		{x: ir.BF16, w: ir.BF16, xAlong: true, m: 35, n: 72, k: 531},
		{x: ir.BF16, w: ir.BF16, wAlong: true, m: 40, n: 33, k: 72},
		{x: ir.F16, w: ir.F16, m: 40, n: 136, k: 50},
		{x: ir.F16, w: ir.F16, xAlong: true, wAlong: true, m: 9, n: 17, k: 37},
		{x: ir.F32, w: ir.BF16, xAlong: true, wAlong: true, m: 35, n: 67, k: 528},
		{x: ir.F32, w: ir.BF16, xAlong: true, m: 6, n: 35, k: 2561},
		{x: ir.F32, w: ir.F16, xAlong: true, wAlong: true, m: 35, n: 67, k: 600},
		{x: ir.F32, w: ir.F16, xAlong: true, m: 6, n: 35, k: 531},
		{x: ir.F32, w: ir.F32, xAlong: true, wAlong: true, m: 35, n: 67, k: 1044},
		{x: ir.F32, w: ir.F32, xAlong: true, wAlong: true, m: 3, n: 19, k: 4611},
		{x: ir.F32, w: ir.F32, xAlong: true, m: 35, n: 72, k: 531},
		{x: ir.F32, w: ir.F32, wAlong: true, m: 40, n: 33, k: 72},
		{x: ir.F32, w: ir.F32, m: 40, n: 136, k: 50},
	} {
		if err := emulator.Set(library, fmt.Sprintf("eager=%d", i%2)); err != nil { // copies come as late as can be, or as early
			t.Fatal(err)
		}
		name := fmt.Sprintf("%v x %v, along %v %v, %d x %d x %d", c.x, c.w, c.xAlong, c.wAlong, c.m, c.n, c.k)
		c := newTensorCase(t, b, c)
		all := c.run(t, b, forms.tile, c.m)
		if err := c.far(all); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range []form{forms.largeTile, forms.some, forms.fewLong, forms.few} {
			rows := min(c.m, f.rows)
			if got := c.run(t, b, f, rows); !bytes.Equal(got, all[:len(got)]) {
				t.Errorf("%s: form %s gives other bits", name, f.name)
			}
		}
		if one := c.run(t, b, forms.few, 1); !bytes.Equal(one, all[:len(one)]) {
			t.Errorf("%s: a row alone has other bits", name)
		}
	}
}

// Products of f32 with f32 are rounded to tf32 where that is allowed, and only there,
// whatever the number of rows.
func TestTF32Allowed(t *testing.T) {
	b := open(t)
	c := newTensorCase(t, b, tensorCase{x: ir.F32, w: ir.F32, xAlong: true, wAlong: true, m: 40, n: 33, k: 70})
	rounded := c.run(t, b, forms.tile, c.m)
	for _, rows := range []int{1, 20, 40} {
		x := c.xBuffer
		x.Shape = []int{rows, c.k}
		for name, attrs := range map[string][2]any{"linear": {op.LinearAttr{OutFeatures: c.n}, op.LinearAttr{OutFeatures: c.n, TF32: true}},
			"matmul": {op.MatMulAttr{TransB: true}, op.MatMulAttr{TransB: true, TF32: true}}} {
			exact, got := product(t, b, name, attrs[0], []kernels.Tensor{x, c.wBuffer}, rows, c.n), product(t, b, name, attrs[1], []kernels.Tensor{x, c.wBuffer}, rows, c.n)
			if data := f32Bytes(got); !bytes.Equal(data, rounded[:len(data)]) || bytes.Equal(f32Bytes(exact), data) {
				t.Errorf("%s of %d rows: in tf32 as it is to be %v, without permission %v", name, rows, bytes.Equal(data, rounded[:len(data)]), bytes.Equal(f32Bytes(exact), data))
			}
		}
	}
}
