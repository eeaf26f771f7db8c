//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Reductions in parts, and over axes however they lie, are what one loop gives.
func TestReduceParts(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		shape []int
		axes  op.Ints
		forms reduction
	}{
		{[]int{2, 8192*2 + 5}, "1", reduction{true, 1, 2, 8192*2 + 5, 1}},
		{[]int{300, 2, 35}, "0", reduction{true, 1, 1, 300, 70}},
		{[]int{3, 300, 33}, "1", reduction{true, 1, 3, 300, 33}},
		{[]int{3, 1, 5, 1, 20}, "0,4", reduction{true, 3, 5, 20, 1}},
		{[]int{2, 3, 4, 5}, "0,2", reduction{}},
		{[]int{1, 1}, "", reduction{true, 1, 1, 1, 1}},
	} {
		if got := reductionOf(c.shape, c.axes); got != c.forms {
			t.Errorf("%v over %q is %+v, want %+v", c.shape, c.axes, got, c.forms)
		}
		in := ir.T(ir.F32, c.shape...)
		x := numbers(r, in.Elems())
		for name, join := range map[string]func(a, b float64) float64{"reduce_sum": func(a, b float64) float64 { return a + b }, "reduce_max": math.Max, "reduce_min": math.Min} {
			want, kept := reduced(x, c.shape, c.axes, join)
			got := compute(t, b, name, op.ReduceAttr{Axes: c.axes}, []ir.Type{in}, []ir.Type{ir.T(ir.F32, kept...)}, [][]float64{x})
			for i, v := range want {
				if d := math.Abs(got[0][i] - v); d > 1e-7*math.Abs(v) {
					t.Fatalf("%s of %v over %q: [%d] is %v, want %v", name, c.shape, c.axes, i, got[0][i], v)
				}
			}
		}
	}
}

// reduced joins the elements of x that fall together, and gives their shape.
func reduced(x []float64, shape []int, over op.Ints, join func(a, b float64) float64) (y []float64, kept []int) {
	gone := make([]bool, len(shape))
	for i := range gone {
		gone[i] = over == ""
	}
	for _, i := range over.Slice() {
		gone[i] = true
	}
	size := 1
	for i, n := range shape {
		if !gone[i] {
			kept, size = append(kept, n), size*n
		}
	}
	y = make([]float64, size)
	seen := make([]bool, size)
	for i, v := range x {
		at, rest, stride := 0, i, 1
		for a := len(shape) - 1; a >= 0; a-- {
			if j := rest % shape[a]; !gone[a] {
				at, stride = at+j*stride, stride*shape[a]
			}
			rest /= shape[a]
		}
		if seen[at] {
			v = join(y[at], v)
		}
		y[at], seen[at] = v, true
	}
	return y, kept
}

// Slices at one index are added in their order, more of them than a block lists at
// once, and elements along an axis, many or few.
func TestScatterAlike(t *testing.T) {
	b, r := open(t), rand.New(rand.NewPCG(4, 4))
	for _, c := range []struct {
		op          string
		m, n, inner int
		kind        ir.DType
		tol         float64
	}{{"scatter_add", 1500, 2, 3, ir.F32, 1e-5}, {"scatter_add", 300, 7, 600, ir.BF16, 1. / 200}, {"scatter_along", 70, 3, 5, ir.F32, 1e-5}, {"scatter_along", 9, 40, 5, ir.BF16, 1. / 200}} {
		y, index, want := numbers(r, c.m*c.inner), make([]float64, c.m), make([]float64, c.n*c.inner)
		shape := []int{c.m}
		if c.op == "scatter_along" {
			index, shape = make([]float64, c.m*c.inner), []int{c.m, c.inner}
		}
		for i := range index {
			index[i] = float64(r.IntN(c.n))
		}
		for i, v := range y {
			if c.kind == ir.BF16 {
				y[i] = float64(math.Float32frombits(math.Float32bits(float32(v)) &^ 0xffff))
			}
			k := int(index[i%len(index)])
			if c.op == "scatter_add" {
				k = int(index[i/c.inner])
			}
			want[k*c.inner+i%c.inner] += y[i]
		}
		got := compute(t, b, c.op, op.ScatterAttr{Size: c.n}, []ir.Type{ir.T(c.kind, c.m, c.inner), ir.T(ir.I32, shape...)}, []ir.Type{ir.T(c.kind, c.n, c.inner)}, [][]float64{y, index})
		for i, v := range want {
			if d := math.Abs(got[0][i] - v); !(d <= c.tol*(1+math.Abs(v))) {
				t.Fatalf("%s of %d: [%d] is %v, want %v", c.op, c.m, i, got[0][i], v)
			}
		}
	}
}
