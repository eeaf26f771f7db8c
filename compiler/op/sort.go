package op

import (
	"fmt"
	"sort"

	"pipe.dev/compiler/ir"
)

func emptyAxis(i int) error { return fmt.Errorf("axis %d has no elements", i) }

// ranked gives, for every row along the last axis, its first k elements in
// order and where they were; equal elements keep their order.
func ranked(x []float64, n, k int, before func(a, b float64) bool) [][]float64 {
	var values, indices []float64
	for ; len(x) > 0 && n > 0; x = x[n:] {
		row := x[:n]
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool { return before(row[order[i]], row[order[j]]) })
		for _, i := range order[:k] {
			values = append(values, row[i])
			indices = append(indices, float64(i))
		}
	}
	return [][]float64{values, indices}
}

// rankedGrad brings dy back to where the values were.
func rankedGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	x := n.In[0].Type()
	if !dy[0].Valid() {
		return []ir.Value{{}}
	}
	if err := wantKnown("x", x, x.Rank()-1); err != nil {
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient: %w", err)})
	}
	return []ir.Value{b.ScatterAlong(dy[0], ir.Value{Node: n, Out: 1}, -1, lastDim(x).N)}
}

func greater(a, b float64) bool { return a > b }
func less(a, b float64) bool    { return a < b }

func sortDef() Def {
	return Def{Name: "sort", Title: "Sort", Doc: "values, indices = x in order along the last axis, and where each element was; equal elements keep their order.",
		Attr: SortAttr{}, Outputs: []string{"values", "indices"},
		Ports: []Port{{Name: "x", Doc: "[..., n]"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if err := first(wantFloat("x", in[0]), wantAtLeast("x", in[0], "[..., n]", 1)); err != nil {
				return nil, err
			}
			return []ir.Type{in[0], in[0].As(ir.I32)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			n := lastDim(types[0]).N
			if attr.(SortAttr).Descending {
				return ranked(in[0], n, n, greater)
			}
			return ranked(in[0], n, n, less)
		},
		Grad: rankedGrad,
		Cases: []Case{
			{In: f32s([]int{3, 17}), Attr: SortAttr{}, Low: -2, High: 2},
			{Name: "descending", In: f32s([]int{2, 3, 33}), Attr: SortAttr{true}, Low: -2, High: 2},
			{Name: "one", In: f32s([]int{3, 1}), Attr: SortAttr{}, Low: -2, High: 2},
			{Name: "equal", In: f32s([]int{2, 65}), Attr: SortAttr{true}, Low: 1, High: 1},
			{Name: "large", In: f32s([]int{64, 4096}), Attr: SortAttr{true}, Low: -2, High: 2, Large: true},
		},
	}
}

func topk() Def {
	return Def{Name: "topk", Title: "TopK", Doc: "values, indices = the k greatest of x along the last axis, from the greatest down; the lowest index first among equals.",
		Attr: TopKAttr{}, Outputs: []string{"values", "indices"},
		Ports: []Port{{Name: "x", Doc: "[..., n], n at least k"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			k := attr.(TopKAttr).K
			if err := first(wantFloat("x", in[0]), wantAtLeast("x", in[0], "[..., n]", 1)); err != nil {
				return nil, err
			}
			i := in[0].Rank() - 1
			if err := wantKnown("x", in[0], i); err != nil {
				return nil, err
			}
			if n := in[0].Shape[i].N; k < 1 || k > n {
				return nil, fmt.Errorf("k is %d but the last axis has %d elements", k, n)
			}
			values := in[0].With(replaced(in[0].Shape, i, ir.D(k))...)
			return []ir.Type{values, values.As(ir.I32)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			return ranked(in[0], lastDim(types[0]).N, attr.(TopKAttr).K, greater)
		},
		Grad: rankedGrad,
		Cases: []Case{
			{In: f32s([]int{3, 17}), Attr: TopKAttr{3}, Low: -2, High: 2},
			{Name: "all", In: f32s([]int{2, 3, 5}), Attr: TopKAttr{5}, Low: -2, High: 2},
			{Name: "equal", In: f32s([]int{2, 33}), Attr: TopKAttr{4}, Low: 1, High: 1},
			{Name: "large", In: f32s([]int{16, 32768}), Attr: TopKAttr{40}, Low: -2, High: 2, Large: true},
		},
	}
}
