package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

func indexDefs() []Def {
	return []Def{gather(), scatterAdd(), takeAlong(), scatterAlong(), oneHot(), pick()}
}

func upTo(i, n int) map[int][2]float64 { return map[int][2]float64{i: {0, float64(n - 1)}} }

func floatAndIndex(x, indices []int) []ir.Type {
	return []ir.Type{ir.T(ir.F32, x...), ir.T(ir.I32, indices...)}
}

// gather is numpy.take: x.shape[:axis] + indices.shape + x.shape[axis+1:].
func gather() Def {
	return Def{Name: "gather", Title: "Gather", Doc: "y = slices of x at indices along an axis, as numpy.take.", Attr: AxisAttr{}, Cost: free,
		Ports: []Port{{Name: "x", Doc: "the operand"}, {Name: "indices", Doc: "i32 or i64 of any shape, which takes the place of the axis; from 0"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			i, err := axis(attr.(AxisAttr).Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if err := wantIndex("indices", in[1]); err != nil {
				return nil, err
			}
			return []ir.Type{in[0].With(slices.Concat(in[0].Shape[:i], in[1].Shape, in[0].Shape[i+1:])...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			i, _ := axis(attr.(AxisAttr).Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			var y []float64
			for o := range outer {
				for _, f := range in[1] {
					if j := int(f); j < 0 || j >= n {
						y = append(y, slices.Repeat([]float64{math.NaN()}, inner)...)
					} else {
						y = append(y, in[0][(o*n+j)*inner:(o*n+j+1)*inner]...)
					}
				}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			x := n.In[0].Type()
			i, _ := axis(n.Attr.(AxisAttr).Axis, x.Rank())
			if err := wantKnown("x", x, i); err != nil {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient: %w", err)})
			}
			return []ir.Value{b.ScatterAdd(dy[0], n.In[1], i, x.Shape[i].N), {}}
		},
		Cases: []Case{
			{In: floatAndIndex([]int{9, 5}, []int{2, 6}), Attr: AxisAttr{0}, Low: -1, High: 1, Bounds: upTo(1, 9)},
			{Name: "last axis", In: floatAndIndex([]int{3, 17}, []int{5}), Attr: AxisAttr{-1}, Low: -1, High: 1, Bounds: upTo(1, 17)},
			{Name: "middle axis", In: floatAndIndex([]int{2, 7, 3}, []int{3, 2}), Attr: AxisAttr{1}, Low: -1, High: 1, Bounds: upTo(1, 7)},
			{Name: "one", In: floatAndIndex([]int{5, 3}, []int{}), Attr: AxisAttr{0}, Low: -1, High: 1, Bounds: upTo(1, 5)},
			{Name: "large", In: floatAndIndex([]int{4096, 512}, []int{2048}), Attr: AxisAttr{0}, Low: -1, High: 1, Bounds: upTo(1, 4096), Large: true},
		},
	}
}

// scatterAdd is the adjoint of gather: y is laid out as gather's result.
func scatterAdd() Def {
	return Def{Name: "scatter_add", Doc: "x = zeros to which the slices of y are added at indices along an axis, in the order of indices.", Attr: ScatterAttr{},
		Ports: []Port{{Name: "y", Doc: "laid out as the result of gather"}, {Name: "indices", Doc: "i32 or i64, from 0"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ScatterAttr)
			y, k := in[0], in[1].Rank()
			i, err := axis(at.Axis, y.Rank()-k+1)
			if err != nil {
				return nil, err
			}
			if err := first(wantFloat("y", y), wantIndex("indices", in[1])); err != nil {
				return nil, err
			}
			if !slices.Equal(y.Shape[i:i+k], in[1].Shape) {
				return nil, fmt.Errorf("y is %s, which does not hold %s at axis %d", ir.ShapeString(y.Shape), ir.ShapeString(in[1].Shape), i)
			}
			return []ir.Type{y.With(slices.Concat(y.Shape[:i], []ir.Dim{ir.D(at.Size)}, y.Shape[i+k:])...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(ScatterAttr)
			sizes, k := types[0].Sizes(), types[1].Rank()
			i, _ := axis(at.Axis, len(sizes)-k+1)
			outer, inner, m := product(sizes[:i]), product(sizes[i+k:]), len(in[1])
			x := make([]float64, outer*at.Size*inner)
			for o := range outer {
				for j, f := range in[1] {
					if int(f) < 0 || int(f) >= at.Size {
						continue
					}
					for e := range inner {
						x[(o*at.Size+int(f))*inner+e] += in[0][(o*m+j)*inner+e]
					}
				}
			}
			return [][]float64{x}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			i, _ := axis(n.Attr.(ScatterAttr).Axis, n.Types[0].Rank())
			return []ir.Value{b.Gather(dy[0], n.In[1], i), {}}
		},
		Cases: []Case{
			{In: floatAndIndex([]int{2, 6, 5}, []int{2, 6}), Attr: ScatterAttr{0, 9}, Low: -1, High: 1, Bounds: upTo(1, 9)},
			{Name: "last axis", In: floatAndIndex([]int{3, 7}, []int{7}), Attr: ScatterAttr{-1, 17}, Low: -1, High: 1, Bounds: upTo(1, 17)},
			{Name: "repeated", In: floatAndIndex([]int{2, 33, 3}, []int{33}), Attr: ScatterAttr{1, 2}, Low: -1, High: 1, Bounds: upTo(1, 2), Tol: 1e-5},
			{Name: "large", In: floatAndIndex([]int{2048, 512}, []int{2048}), Attr: ScatterAttr{0, 4096}, Low: -1, High: 1, Bounds: upTo(1, 4096), Large: true},
		},
	}
}

// takeAlong is numpy.take_along_axis: all sizes but that of the axis are equal.
func takeAlong() Def {
	return Def{Name: "take_along", Title: "TakeAlong", Doc: "y[.., j, ..] = x[.., indices[.., j, ..], ..] along an axis.", Attr: AxisAttr{}, Cost: free,
		Ports: []Port{{Name: "x", Doc: "the operand"}, {Name: "indices", Doc: "i32 or i64, of x's sizes but along the axis; from 0"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			i, err := axis(attr.(AxisAttr).Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if err := first(wantIndex("indices", in[1]), sameBut("x", "indices", in[0], in[1], i)); err != nil {
				return nil, err
			}
			return []ir.Type{in[0].With(in[1].Shape...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			i, _ := axis(attr.(AxisAttr).Axis, types[0].Rank())
			_, n, _ := around(types[0].Sizes(), i)
			outer, m, inner := around(types[1].Sizes(), i)
			y := make([]float64, len(in[1]))
			for o := range outer {
				for j := range m {
					for e := range inner {
						at := (o*m+j)*inner + e
						if k := int(in[1][at]); k < 0 || k >= n {
							y[at] = math.NaN()
						} else {
							y[at] = in[0][(o*n+k)*inner+e]
						}
					}
				}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			x := n.In[0].Type()
			i, _ := axis(n.Attr.(AxisAttr).Axis, x.Rank())
			if err := wantKnown("x", x, i); err != nil {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient: %w", err)})
			}
			return []ir.Value{b.ScatterAlong(dy[0], n.In[1], i, x.Shape[i].N), {}}
		},
		Cases: []Case{
			{In: floatAndIndex([]int{3, 17}, []int{3, 5}), Attr: AxisAttr{-1}, Low: -1, High: 1, Bounds: upTo(1, 17)},
			{Name: "middle axis", In: floatAndIndex([]int{3, 6, 2}, []int{3, 4, 2}), Attr: AxisAttr{1}, Low: -1, High: 1, Bounds: upTo(1, 6)},
			{Name: "outer axis", In: floatAndIndex([]int{2, 3}, []int{5, 3}), Attr: AxisAttr{0}, Low: -1, High: 1, Bounds: upTo(1, 2)},
		},
	}
}

func sameBut(a, b string, x, y ir.Type, i int) error {
	if x.Rank() != y.Rank() || !slices.Equal(replaced(x.Shape, i, ir.D(1)), replaced(y.Shape, i, ir.D(1))) {
		return fmt.Errorf("%s is %s and %s is %s; want equal sizes but along axis %d", a, ir.ShapeString(x.Shape), b, ir.ShapeString(y.Shape), i)
	}
	return nil
}

// scatterAlong is the adjoint of takeAlong.
func scatterAlong() Def {
	return Def{Name: "scatter_along", Doc: "x = zeros to which the elements of y are added at indices along an axis, in order.", Attr: ScatterAttr{},
		Ports: []Port{{Name: "y", Doc: "of the shape of indices"}, {Name: "indices", Doc: "i32 or i64, from 0"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ScatterAttr)
			i, err := axis(at.Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if err := first(wantFloat("y", in[0]), wantIndex("indices", in[1])); err != nil {
				return nil, err
			}
			if !slices.Equal(in[0].Shape, in[1].Shape) {
				return nil, fmt.Errorf("y is %s but indices is %s", ir.ShapeString(in[0].Shape), ir.ShapeString(in[1].Shape))
			}
			return []ir.Type{in[0].With(replaced(in[0].Shape, i, ir.D(at.Size))...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(ScatterAttr)
			i, _ := axis(at.Axis, types[0].Rank())
			outer, m, inner := around(types[0].Sizes(), i)
			x := make([]float64, outer*at.Size*inner)
			for o := range outer {
				for j := range m {
					for e := range inner {
						from := (o*m+j)*inner + e
						if k := int(in[1][from]); k >= 0 && k < at.Size {
							x[(o*at.Size+k)*inner+e] += in[0][from]
						}
					}
				}
			}
			return [][]float64{x}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.TakeAlong(dy[0], n.In[1], n.Attr.(ScatterAttr).Axis), {}}
		},
		Cases: []Case{
			{In: floatAndIndex([]int{3, 5}, []int{3, 5}), Attr: ScatterAttr{-1, 17}, Low: -1, High: 1, Bounds: upTo(1, 17)},
			{Name: "middle axis", In: floatAndIndex([]int{3, 4, 2}, []int{3, 4, 2}), Attr: ScatterAttr{1, 6}, Low: -1, High: 1, Bounds: upTo(1, 6)},
			{Name: "repeated", In: floatAndIndex([]int{33, 3}, []int{33, 3}), Attr: ScatterAttr{0, 2}, Low: -1, High: 1, Bounds: upTo(1, 2), Tol: 1e-5},
		},
	}
}
