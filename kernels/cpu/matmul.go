package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// matmul computes the product in the last two axes.
//
//	a [..., m, k]   b [..., k, n]   y [..., m, n], axes in front by the rules of NumPy
func matmul(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	at, ok := attr.(op.MatMulAttr)
	if !ok || len(in) != 2 || len(in[0].Shape) < 2 || len(in[1].Shape) < 2 {
		return nil, false
	}
	for _, t := range append(in, out[0]) {
		if !stored(t.DType) {
			return nil, false
		}
	}
	return kernel{
		bind: func(a kernels.Args) (kernels.Step, error) { return bindMatmul(b, at, a) },
		scratch: func(attr any, in, out []ir.Type) int64 {
			s := out[0].Sizes()
			m, k := matrix(in[0].Sizes(), at.TransA)
			row, col := matrixStrides(in[0].Sizes(), at.TransA)
			return productScratch(prod(s[:len(s)-2]), m, s[len(s)-1], k, in[0].DType, row, col)
		},
	}, true
}

// matrix returns rows and columns of the last two axes, transposed or not.
func matrix(shape []int, trans bool) (rows, cols int) {
	r := len(shape)
	if trans {
		return shape[r-1], shape[r-2]
	}
	return shape[r-2], shape[r-1]
}

// matrixStrides returns the distance of neighbouring rows and columns.
func matrixStrides(shape []int, trans bool) (row, col int) {
	if trans {
		return 1, shape[len(shape)-1]
	}
	return shape[len(shape)-1], 1
}

func bindMatmul(b *Backend, at op.MatMulAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(a.In[0], a.In[1], a.Out[0])
	if err != nil {
		return nil, err
	}
	as, bs, ys := a.In[0].Shape, a.In[1].Shape, a.Out[0].Shape
	m, k := matrix(as, at.TransA)
	k2, n := matrix(bs, at.TransB)
	if ym, yn := matrix(ys, false); k != k2 || ym != m || yn != n {
		return nil, fmt.Errorf("matmul of %v and %v does not give %v", as, bs, ys)
	}
	lead := ys[:len(ys)-2]
	batch := prod(lead)
	x := operand{vec: vs[0], first: offsets(as[:len(as)-2], lead, m*k)}
	x.row, x.col = matrixStrides(as, at.TransA)
	w := weight{vec: vs[1], first: offsets(bs[:len(bs)-2], lead, k*n)}
	w.row, w.col = matrixStrides(bs, at.TransB)
	p := &product{b: b, batch: batch, m: m, n: n, k: k, x: x, w: []weight{w}, y: vs[2]}
	return p.bind(a)
}

// offsets returns, for every index of the shape to, the element at which the
// slice of size elements begins that a tensor of shape from repeats there.
func offsets(from, to []int, size int) []int {
	out := make([]int, 0, prod(to))
	st := repeatStrides(from, to)
	var visit func(axis, at int)
	visit = func(axis, at int) {
		if axis == len(to) {
			out = append(out, at*size)
			return
		}
		for i := range to[axis] {
			visit(axis+1, at+i*st[axis])
		}
	}
	visit(0, 0)
	return out
}

// repeatStrides returns the strides that repeat a tensor of shape from to the
// shape to: zero along axes that it lacks or has once.
func repeatStrides(from, to []int) []int {
	out := make([]int, len(to))
	n := 1
	for i := len(from) - 1; i >= 0; i-- {
		if from[i] != 1 {
			out[len(to)-len(from)+i] = n
		}
		n *= from[i]
	}
	return out
}
