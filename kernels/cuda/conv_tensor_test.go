//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cases"
)

// Convolutions with 16-bit weights on tensor cores, or in tf32, give the sums in f32 of
// the same numbers, and a sample is the same alone.
func TestConvTensor(t *testing.T) {
	b := open(t)
	defer noConflicts(t)()
	for _, c := range []struct {
		name string
		x, w []int // x of the convolution, and its weight
		y    []int // of the result
		at   op.ConvAttr
	}{
		{"line", []int{3, 13, 35}, []int{19, 13, 5}, []int{3, 19, 29}, op.ConvAttr{Stride: "1", Before: "3", After: "1", Dilation: "2", Groups: 1}},
		{"stride", []int{2, 16, 21}, []int{12, 16, 4}, []int{2, 12, 7}, op.ConvAttr{Stride: "3", Before: "1", After: "2", Dilation: "1", Groups: 1}},
		{"picture", []int{2, 16, 9, 11}, []int{136, 16, 3, 3}, []int{2, 136, 9, 11}, op.ConvAttr{Stride: "1,1", Before: "1,1", After: "1,1", Dilation: "1,1", Groups: 1}},
		{"points", []int{2, 24, 5, 7}, []int{10, 24, 1, 1}, []int{2, 10, 3, 4}, op.ConvAttr{Stride: "2,2", Before: "0,0", After: "0,0", Dilation: "1,1", Groups: 1}},
		{"groups", []int{2, 18, 6, 9}, []int{16, 9, 3, 2}, []int{2, 16, 6, 4}, op.ConvAttr{Stride: "1,2", Before: "1,0", After: "1,0", Dilation: "1,1", Groups: 2}},
		{"room", []int{1, 8, 4, 5, 6}, []int{9, 8, 3, 2, 3}, []int{1, 9, 4, 3, 5}, op.ConvAttr{Stride: "1,2,1", Before: "1,0,1", After: "1,1,0", Dilation: "1,1,1", Groups: 1}},
	} {
		for _, name := range []string{"conv", "conv_transpose"} {
			x, y, terms := c.x, c.y, prod(c.w)/c.w[0]
			if name == "conv_transpose" {
				x, y, terms = y, x, prod(c.w)/c.w[1]
				c.at.Size = op.MakeDims(ir.T(ir.F32, y[2:]...).Shape...)
			}
			for _, d := range []ir.DType{ir.BF16, ir.F16, ir.F32} {
				r := rand.New(rand.NewPCG(uint64(d), 1))
				left, _ := normals(r, d, prod(x))
				right, _ := normals(r, d, prod(c.w))
				if d == ir.F32 {
					left, right = tf32s(left), tf32s(right)
				}
				run := func(xd, wd ir.DType, samples int, tf32 bool) []float64 {
					at := c.at
					at.TF32 = tf32
					in := []ir.Type{ir.T(xd, slices.Concat([]int{samples}, x[1:])...), ir.T(wd, c.w...)}
					out := []ir.Type{ir.T(ir.F32, slices.Concat([]int{samples}, y[1:])...)}
					return compute(t, b, name, at, in, out, [][]float64{left[:prod(x)/x[0]*samples], right})[0]
				}
				want := run(ir.F32, ir.F32, x[0], false)
				got := run(d, d, x[0], true)
				if !slices.Equal(got, want) {
					t.Errorf("%s %s of %v is not the sum in f32 of the same numbers", name, c.name, d)
				}
				if one := run(d, d, 1, true); !slices.Equal(one, got[:len(one)]) {
					t.Errorf("%s %s of %v: a sample alone has other bits", name, c.name, d)
				}
				for i := range left {
					left[i] = r.NormFloat64()
				}
				left = cases.Decode(ir.F32, cases.Encode(ir.F32, left))
				want, got = run(ir.F32, ir.F32, x[0], false), run(ir.F32, d, x[0], true)
				if d == ir.F32 { // numbers that rounding changes
					if slices.Equal(want, got) {
						t.Errorf("%s %s in tf32: what is rounded has the bits of what is not", name, c.name)
					}
					continue
				}
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= 8e-6*math.Sqrt(float64(terms))) { // 3 roundings for each term, of sums of about √terms
						t.Fatalf("%s %s of f32 by %v: element %d is %v, in f32 %v", name, c.name, d, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// Gradients of weights by tensor cores have the bits of those by FMA of the same
// numbers, in one part or several.
func TestConvGradTensor(t *testing.T) {
	b := open(t)
	defer noConflicts(t)()
	for _, c := range []struct {
		x, dy, w []int
		at       op.ConvAttr
	}{
		{[]int{3, 13, 35}, []int{3, 19, 29}, []int{19, 13, 5}, op.ConvAttr{Stride: "1", Before: "3", After: "1", Dilation: "2", Groups: 1, Kernel: "5"}},
		{[]int{2, 6, 25, 24}, []int{2, 130, 25, 24}, []int{130, 6, 3, 3}, op.ConvAttr{Stride: "1,1", Before: "1,1", After: "1,1", Dilation: "1,1", Groups: 1, Kernel: "3,3"}},
		{[]int{2, 18, 6, 9}, []int{2, 16, 6, 4}, []int{16, 9, 3, 2}, op.ConvAttr{Stride: "1,2", Before: "1,0", After: "1,0", Dilation: "1,1", Groups: 2, Kernel: "3,2"}},
	} {
		for _, d := range []ir.DType{ir.BF16, ir.F16, ir.F32} {
			r := rand.New(rand.NewPCG(uint64(d), 2))
			x, _ := normals(r, d, prod(c.x))
			dy, _ := normals(r, d, prod(c.dy))
			if d == ir.F32 {
				x, dy = tf32s(x), tf32s(dy)
			}
			run := func(d ir.DType, tf32 bool) []float64 {
				at := c.at
				at.TF32 = tf32
				in, out := []ir.Type{ir.T(d, c.x...), ir.T(d, c.dy...)}, []ir.Type{ir.T(ir.F32, c.w...)}
				return compute(t, b, "conv_weight_grad", at, in, out, [][]float64{x, dy})[0]
			}
			if got, want := run(d, true), run(ir.F32, false); !slices.Equal(got, want) {
				t.Errorf("%v of x %v, dy %v: not the sums in f32 of the same numbers", d, c.x, c.dy)
			}
		}
	}
}
