package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// matmul: a [..., m, k], b [..., k, n] -> [..., m, n]; the axes before the
// last two are matched by the rules of NumPy.
func matmul() Def {
	f := func(a, b []int) []ir.Type { return []ir.Type{ir.T(ir.F32, a...), ir.T(ir.F32, b...)} }
	return Def{Name: "matmul", Title: "MatMul", Doc: "y = a b, the matrix product in the last two axes.", Attr: MatMulAttr{},
		Ports: []Port{{Name: "a", Doc: "[..., m, k], or [..., k, m] if trans_a"},
			{Name: "b", Doc: "[..., k, n], or [..., n, k] if trans_b; axes before the last two are matched by the rules of NumPy"}},
		Infer: matmulInfer,
		Ref:   matmulRef,
		Grad:  matmulGrad,
		Cost: func(in, out []ir.Type, attr any) int64 {
			k := in[0].Sizes()[in[0].Rank()-1]
			if attr.(MatMulAttr).TransA {
				k = in[0].Sizes()[in[0].Rank()-2]
			}
			return 2 * int64(out[0].Elems()) * int64(k)
		},
		Cases: []Case{
			{In: f([]int{2, 3}, []int{3, 4}), Attr: MatMulAttr{}, Low: -1, High: 1},
			{Name: "odd", In: f([]int{17, 33}, []int{33, 19}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "single row", In: f([]int{1, 65}, []int{65, 7}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "trans_a", In: f([]int{5, 3}, []int{5, 4}), Attr: MatMulAttr{TransA: true}, Low: -1, High: 1},
			{Name: "trans_b", In: f([]int{3, 5}, []int{4, 5}), Attr: MatMulAttr{TransB: true}, Low: -1, High: 1},
			{Name: "trans both", In: f([]int{2, 5, 3}, []int{2, 4, 5}), Attr: MatMulAttr{TransA: true, TransB: true}, Low: -1, High: 1},
			{Name: "wide", In: f([]int{17, 5}, []int{17, 33}), Attr: MatMulAttr{TransA: true, Wide: true}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "batch", In: f([]int{2, 3, 5, 7}, []int{2, 3, 7, 3}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "batch broadcast", In: f([]int{2, 1, 3, 4}, []int{5, 4, 3}), Attr: MatMulAttr{}, Low: -1, High: 1},
			{Name: "grouped heads", In: f([]int{2, 2, 3, 5, 8}, []int{2, 2, 1, 7, 8}), Attr: MatMulAttr{TransB: true}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "tf32", In: f([]int{40, 35}, []int{35, 70}), Attr: MatMulAttr{TF32: true}, Low: -1, High: 1, Tol: tf32Tol(35)},
			{Name: "tf32 trans_a", In: f([]int{2, 33, 17}, []int{2, 33, 19}), Attr: MatMulAttr{TransA: true, TF32: true}, Low: -1, High: 1, Tol: tf32Tol(33)},
			{Name: "empty", In: f([]int{0, 3}, []int{3, 4}), Attr: MatMulAttr{}, Low: -1, High: 1},
			{Name: "large", In: f([]int{512, 512}, []int{512, 512}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-4, Large: true},
			{Name: "large 1024", In: f([]int{1024, 1024}, []int{1024, 1024}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-4, Large: true},
			{Name: "large 2048", In: f([]int{2048, 2048}, []int{2048, 2048}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-4, Large: true},
			{Name: "large 4096", In: f([]int{4096, 4096}, []int{4096, 4096}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-4, Large: true},
			{Name: "large 4096 tf32", In: f([]int{4096, 4096}, []int{4096, 4096}), Attr: MatMulAttr{TF32: true}, Low: -1, High: 1, Tol: tf32Tol(4096), Large: true},
			{Name: "large 8192", In: f([]int{8192, 8192}, []int{8192, 8192}), Attr: MatMulAttr{}, Low: -1, High: 1, Tol: 1e-4, Large: true},
			{Name: "large row", In: f([]int{1, 2048}, []int{2048, 2048}), Attr: MatMulAttr{TransB: true}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		},
	}
}

// lastTwo returns rows and columns of a matrix, after the transposition.
func lastTwo(t ir.Type, trans bool) (rows, cols ir.Dim) {
	r := t.Rank()
	if trans {
		return t.Shape[r-1], t.Shape[r-2]
	}
	return t.Shape[r-2], t.Shape[r-1]
}

func matmulInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at := attr.(MatMulAttr)
	a, b := in[0], in[1]
	if err := first(wantFloat("a", a), wantFloat("b", b), alike(in...),
		wantAtLeast("a", a, "[..., m, k]", 2), wantAtLeast("b", b, "[..., k, n]", 2)); err != nil {
		return nil, err
	}
	m, k := lastTwo(a, at.TransA)
	k2, n := lastTwo(b, at.TransB)
	if k != k2 {
		return nil, fmt.Errorf("a has %v columns but b has %v rows: %s and %s", k, k2, ir.ShapeString(a.Shape), ir.ShapeString(b.Shape))
	}
	batch, err := broadcast(a.Shape[:a.Rank()-2], b.Shape[:b.Rank()-2])
	if err != nil {
		return nil, fmt.Errorf("axes before the last two: %w", err)
	}
	y := a.With(append(batch, m, n)...)
	if at.Wide {
		if a.DType == ir.F64 {
			return nil, fmt.Errorf("a is %v; want at most f32 for a wide result", a)
		}
		y.DType = ir.F32
	}
	return []ir.Type{y}, nil
}

func matmulRef(in [][]float64, types []ir.Type, attr any) [][]float64 {
	at := attr.(MatMulAttr)
	out, _ := matmulInfer(types, attr)
	sizes := out[0].Sizes()
	batch := sizes[:len(sizes)-2]
	m, n := sizes[len(sizes)-2], sizes[len(sizes)-1]
	_, inner := lastTwo(types[0], at.TransA)
	k := inner.N
	as, bs := types[0].Sizes(), types[1].Sizes()
	offA, offB := spread(as[:len(as)-2], batch), spread(bs[:len(bs)-2], batch)
	y := make([]float64, 0, product(sizes))
	for i := range offA {
		a, b := in[0][offA[i]*m*k:], in[1][offB[i]*k*n:]
		for r := range m {
			for c := range n {
				var sum float64
				for j := range k {
					ai, bi := r*k+j, j*n+c
					if at.TransA {
						ai = j*m + r
					}
					if at.TransB {
						bi = c*k + j
					}
					sum += a[ai] * b[bi]
				}
				y = append(y, sum)
			}
		}
	}
	return [][]float64{y}
}

// matmulGrad: dA = dY Bᵀ and dB = Aᵀ dY, each transposed back if its operand
// was read transposed.
func matmulGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	at := n.Attr.(MatMulAttr)
	x, w := n.In[0], n.In[1]
	g := b.Cast(dy[0], x.Type().DType)
	times := func(l, r ir.Value, transL, transR bool) ir.Value {
		return b.one("matmul", MatMulAttr{TransA: transL, TransB: transR, TF32: at.TF32}, l, r)
	}
	var dx, dw ir.Value
	if at.TransA {
		dx = times(w, g, at.TransB, true)
	} else {
		dx = times(g, w, false, !at.TransB)
	}
	if at.TransB {
		dw = times(g, x, true, at.TransA)
	} else {
		dw = times(x, g, !at.TransA, false)
	}
	return []ir.Value{b.sumTo(dx, x.Type().Shape), b.sumTo(dw, w.Type().Shape)}
}
