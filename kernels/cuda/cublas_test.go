//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cuda/cublas"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// openBLAS opens a backend on an emulator of its own, with its cuBLASLt.
func openBLAS(t *testing.T, settings string) (b *Backend, products func() uint64) {
	t.Helper()
	path := emulator.Own(t, ".", settings)
	var err error
	if b, err = New(Options{Library: path, CuBLAS: path}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, func() uint64 {
		n, err := emulator.Count(path, "products")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// blasCase is a product of an op, and whether it goes by the library.
type blasCase struct {
	op   string
	attr any
	t    ir.DType
	in   [][]int
	out  []int
	by   bool
	y    ir.DType // of the result; t if it is left out
}

// result is the type of the result.
func (c blasCase) result() ir.Type {
	if c.y != ir.Invalid {
		return ir.T(c.y, c.out...)
	}
	return ir.T(c.t, c.out...)
}

func blasCases() []blasCase {
	const m, n, k = 136, 128, 144
	var list []blasCase
	for _, a := range []op.MatMulAttr{{}, {TransA: true}, {TransB: true}, {TransA: true, TransB: true}} {
		x, w := []int{m, k}, []int{k, n}
		if a.TransA {
			x = []int{k, m}
		}
		if a.TransB {
			w = []int{n, k}
		}
		list = append(list, blasCase{"matmul", a, ir.BF16, [][]int{x, w}, []int{m, n}, true, 0},
			blasCase{"matmul", a, ir.F32, [][]int{append([]int{3}, x...), append([]int{3}, w...)}, []int{3, m, n}, true, 0})
	}
	with := func(bias, transpose bool, act string) op.LinearAttr {
		return op.LinearAttr{OutFeatures: n, Bias: bias, Transpose: transpose, Act: act}
	}
	return append(list,
		blasCase{"matmul", op.MatMulAttr{TransA: true, Wide: true}, ir.BF16, [][]int{{k, m}, {k, n}}, []int{m, n}, true, ir.F32},
		blasCase{"matmul", op.MatMulAttr{}, ir.F32, [][]int{{m, k}, {3, k, n}}, []int{3, m, n}, true, 0},
		blasCase{"matmul", op.MatMulAttr{}, ir.F16, [][]int{{3, 2, 32, k}, {k, n}}, []int{3, 2, 32, n}, true, 0}, // 192 rows
		blasCase{"matmul", op.MatMulAttr{}, ir.F32, [][]int{{2, 1, m, k}, {1, 3, k, n}}, []int{2, 3, m, n}, false, 0},
		blasCase{"linear", with(true, false, ""), ir.BF16, [][]int{{2, 70, k}, {n, k}, {n}}, []int{2, 70, n}, true, 0},
		blasCase{"linear", with(true, true, ""), ir.F16, [][]int{{m, k}, {k, n}, {n}}, []int{m, n}, true, 0},
		blasCase{"linear", with(false, false, ""), ir.F32, [][]int{{m, k}, {n, k}}, []int{m, n}, true, 0},
		blasCase{"linear", op.LinearAttr{OutFeatures: n, TF32: true}, ir.F32, [][]int{{m, k}, {n, k}}, []int{m, n}, true, 0},
		blasCase{"matmul", op.MatMulAttr{TransA: true, TF32: true}, ir.F32, [][]int{{k, m}, {k, n}}, []int{m, n}, true, 0},
		blasCase{"linear", with(false, false, ""), ir.BF16, [][]int{{127, k}, {n, k}}, []int{127, n}, false, 0},
		blasCase{"linear", with(true, false, "relu"), ir.BF16, [][]int{{m, k}, {n, k}, {n}}, []int{m, n}, false, 0})
}

// bind places a case of sines.
func (c blasCase) bind(t *testing.T, b *Backend) (kernels.Step, kernels.Tensor) {
	t.Helper()
	var in []kernels.Tensor
	var types []ir.Type
	for i, shape := range c.in {
		x := make([]float64, prod(shape))
		for j := range x {
			x[j] = math.Sin(float64((3 + 2*i) * j))
		}
		in, types = append(in, put(t, b, c.t, "", cases.Encode(c.t, x), shape...)), append(types, ir.T(c.t, shape...))
	}
	y := put(t, b, c.result().DType, "", nil, c.out...)
	outs := []ir.Type{c.result()}
	k, ok := b.Kernel(c.op, c.attr, types, outs)
	if !ok {
		t.Fatal("no kernel")
	}
	args := kernels.Args{Attr: c.attr, In: in, Out: []kernels.Tensor{y}}
	n := k.Scratch(c.attr, types, outs)
	if want := map[bool]int64{true: cublas.Workspace}[c.by && b.blas != nil]; n != want && c.by {
		t.Errorf("%d bytes of scratch, want %d", n, want)
	}
	if n > 0 {
		args.Scratch = put(t, b, ir.U8, "", nil, int(n))
	}
	step, err := k.Bind(args)
	if err != nil {
		t.Fatal(err)
	}
	return step, y
}

// run computes a case; twice alone and thrice in a group, of which two are a graph.
func (c blasCase) run(t *testing.T, b *Backend) []byte {
	t.Helper()
	step, y := c.bind(t, b)
	data := make([]byte, c.result().Bytes())
	var first []byte
	g := b.Group([]kernels.Step{step}, func(_ int, err error) error { return err })
	for i := range 5 {
		run := step
		if i >= 2 {
			run = g.Run
		}
		if err := y.Buffer.Write(0, bytes.Repeat([]byte{0xff}, len(data))); err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := y.Buffer.Read(0, data); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = bytes.Clone(data)
		}
		if !bytes.Equal(first, data) {
			t.Errorf("run %d gives other bits", i)
		}
	}
	return first
}

// Products that go by cuBLASLt give what the kernels give, but for the order of
// sums, whatever lies transposed, repeats or is added; the others go by the kernels
// and have their bits.
func TestCuBLAS(t *testing.T) {
	own := open(t)
	b, products := openBLAS(t, "")
	if got := b.Facts()["products"]; got != "cuBLASLt 13.4.1" || own.Facts()["products"] != "pipe" {
		t.Errorf("products by %q and %q", got, own.Facts()["products"])
	}
	for i, c := range blasCases() {
		t.Run(fmt.Sprintf("%s %d %v", c.op, i, c.t), func(t *testing.T) {
			before := products()
			got := c.run(t, b)
			// A graph's products are counted when it is recorded.
			if n, want := products()-before, map[bool]uint64{true: 4}[c.by]; n != want {
				t.Errorf("%d products by the library, want %d", n, want)
			}
			want := c.run(t, own)
			if !c.by {
				if !bytes.Equal(got, want) {
					t.Error("other bits than the kernels'")
				}
				return
			}
			d := c.result().DType
			x, y := cases.Decode(d, got), cases.Decode(d, want)
			close := map[ir.DType]float64{ir.F32: 1e-5, ir.F16: 2e-2, ir.BF16: 1.3e-1}[d]
			for j := range x {
				if !(math.Abs(x[j]-y[j]) <= close) {
					t.Fatalf("element %d is %v, want %v", j, x[j], y[j])
				}
			}
		})
	}
}

// A device that is lost is told as such, whoever notices.
func TestCuBLASLost(t *testing.T) {
	path := emulator.Own(t, ".", "")
	b, err := New(Options{Library: path, CuBLAS: path})
	if err != nil {
		t.Fatal(err)
	}
	step, _ := blasCases()[0].bind(t, b)
	nothing, err := launch(b, "limits", "limit_nothing", grid{driver.Dim{X: 1, Y: 1, Z: 1}, 32}, &limitParams{})
	if err != nil {
		t.Fatal(err)
	}
	if err := emulator.Set(path, "lose=0"); err != nil {
		t.Fatal(err)
	}
	nothing(t.Context())
	b.Sync(t.Context())
	if err := step(t.Context()); !errors.Is(err, driver.ErrLost) {
		t.Error(err)
	}
}

// Where the library has no algorithm a product goes by the kernels; where it is not
// found, or is another library, that is said.
func TestWithoutCuBLAS(t *testing.T) {
	b, products := openBLAS(t, "cublas_none=1")
	c := blasCases()[0]
	got := c.run(t, b)
	want := c.run(t, open(t))
	if !bytes.Equal(got, want) || products() != 0 {
		t.Errorf("%d products by the library; the kernels' bits: %v", products(), bytes.Equal(got, want))
	}
	for path, want := range map[string]string{
		"/none/libcublasLt.so.13": "cuda: no cuBLASLt: ",
		"libm.so.6":               "cuda: no cuBLASLt: libm.so.6 has no function cublasLtGetVersion",
	} {
		if _, err := New(Options{Library: emulator.Library(t, "."), CuBLAS: path}); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
