package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// Ops that cut, join and pad along an axis.

func slice() Def {
	return Def{Name: "slice", Title: "Slice", Doc: "y = x[start:stop:step] along an axis.", Attr: SliceAttr{}, Cost: free, Sees: seesBut(cutAxis),
		Ports: []Port{{Name: "x", Doc: "the operand; the size of the axis must be known"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(SliceAttr)
			i, err := axis(at.Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if err := wantKnown("x", in[0], i); err != nil {
				return nil, err
			}
			if n := in[0].Shape[i].N; at.Start < 0 || at.Stop < at.Start || at.Stop > n || at.Step < 1 {
				return nil, fmt.Errorf("%d:%d:%d does not lie in axis %d, which has %d elements", at.Start, at.Stop, at.Step, i, n)
			}
			return []ir.Type{in[0].With(replaced(in[0].Shape, i, ir.D(at.length()))...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(SliceAttr)
			i, _ := axis(at.Axis, types[0].Rank())
			outer, n, inner := around(types[0].Sizes(), i)
			var y []float64
			for o := range outer {
				for j := at.Start; j < at.Stop; j += at.Step {
					y = append(y, in[0][(o*n+j)*inner:(o*n+j+1)*inner]...)
				}
			}
			return [][]float64{y}
		},
		Grad: sliceGrad,
		Cases: []Case{
			{In: f32s([]int{3, 17}), Attr: SliceAttr{Axis: -1, Start: 2, Stop: 9, Step: 1}, Low: -1, High: 1},
			{Name: "outer axis", In: f32s([]int{5, 3}), Attr: SliceAttr{Axis: 0, Start: 1, Stop: 4, Step: 1}, Low: -1, High: 1},
			{Name: "middle axis", In: f32s([]int{2, 5, 3, 4}), Attr: SliceAttr{Axis: 1, Stop: 2, Step: 1}, Low: -1, High: 1},
			{Name: "step", In: f32s([]int{3, 17}), Attr: SliceAttr{Axis: 1, Start: 1, Stop: 17, Step: 3}, Low: -1, High: 1},
			{Name: "all", In: f32s([]int{3, 5}), Attr: SliceAttr{Axis: 1, Stop: 5, Step: 1}, Low: -1, High: 1},
			{Name: "i32", In: []ir.Type{ir.T(ir.I32, 3, 5)}, Attr: SliceAttr{Axis: 1, Start: 1, Stop: 3, Step: 1}, Low: -9, High: 9},
			{Name: "large", In: f32s([]int{1024, 1024}), Attr: SliceAttr{Axis: 1, Start: 256, Stop: 768, Step: 1}, Low: -1, High: 1, Large: true},
		},
	}
}

// length is the number of elements that are taken.
func (a SliceAttr) length() int { return (a.Stop - a.Start + a.Step - 1) / a.Step }

func sliceGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	at := n.Attr.(SliceAttr)
	x := n.In[0].Type()
	i, _ := axis(at.Axis, x.Rank())
	size := x.Shape[i].N
	if at.Step > 1 {
		places := make([]int, at.length())
		for k := range places {
			places[k] = at.Start + k*at.Step
		}
		return []ir.Value{b.ScatterAdd(dy[0], b.indices(places), i, size)}
	}
	before, after := make([]int, x.Rank()), make([]int, x.Rank())
	before[i], after[i] = at.Start, size-at.Stop
	return []ir.Value{b.Pad(dy[0], before, after, 0)}
}

func concat() Def {
	return Def{Name: "concat", Title: "Concat", Doc: "y = all xs, one after the other along an axis.", Attr: AxisAttr{}, Cost: free, Sees: seesBut(cutAxis),
		Ports: []Port{{Name: "xs", Doc: "the parts, of equal sizes along the other axes", Variadic: true}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			i, err := axis(attr.(AxisAttr).Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			if err := alike(in...); err != nil {
				return nil, err
			}
			sum := in[0].Shape[i]
			for _, t := range in[1:] {
				if t.Rank() != in[0].Rank() || !slices.Equal(replaced(t.Shape, i, sum), replaced(in[0].Shape, i, sum)) {
					return nil, fmt.Errorf("%s and %s differ in more than axis %d", ir.ShapeString(in[0].Shape), ir.ShapeString(t.Shape), i)
				}
				sum = sum.Add(t.Shape[i])
			}
			return []ir.Type{in[0].With(replaced(in[0].Shape, i, sum)...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			i, _ := axis(attr.(AxisAttr).Axis, types[0].Rank())
			outer, _, _ := around(types[0].Sizes(), i)
			var y []float64
			for o := range outer {
				for k, t := range types {
					_, n, inner := around(t.Sizes(), i)
					y = append(y, in[k][o*n*inner:(o+1)*n*inner]...)
				}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			i, _ := axis(n.Attr.(AxisAttr).Axis, n.Types[0].Rank())
			out := make([]ir.Value, len(n.In))
			at := 0
			for k, v := range n.In {
				if err := wantKnown("xs", v.Type(), i); err != nil {
					b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient: %w", err)})
				}
				size := v.Type().Shape[i].N
				out[k] = b.Slice(dy[0], i, at, at+size)
				at += size
			}
			return out
		},
		Cases: []Case{
			{In: f32s([]int{2, 3}, []int{2, 5}), Attr: AxisAttr{-1}, Low: -1, High: 1},
			{Name: "three", In: f32s([]int{1, 17}, []int{3, 17}, []int{2, 17}), Attr: AxisAttr{0}, Low: -1, High: 1},
			{Name: "middle axis", In: f32s([]int{2, 1, 3}, []int{2, 4, 3}), Attr: AxisAttr{1}, Low: -1, High: 1},
			{Name: "one", In: f32s([]int{2, 3}), Attr: AxisAttr{1}, Low: -1, High: 1},
			{Name: "large", In: f32s([]int{1024, 512}, []int{1024, 512}), Attr: AxisAttr{1}, Low: -1, High: 1, Large: true},
		},
	}
}

// split has one output for each part.
func split() Def {
	return Def{Name: "split", Doc: "y0, y1, ... = parts of x of the given sizes along an axis.", Attr: SplitAttr{}, Cost: free, Sees: seesBut(cutAxis),
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(SplitAttr)
			i, err := axis(at.Axis, in[0].Rank())
			if err != nil {
				return nil, err
			}
			var out []ir.Type
			sum := 0
			for _, n := range at.Sizes.Slice() {
				if n <= 0 {
					return nil, fmt.Errorf("a part of size %d; want at least 1", n)
				}
				sum += n
				out = append(out, in[0].With(replaced(in[0].Shape, i, ir.D(n))...))
			}
			if len(out) == 0 || in[0].Shape[i] != ir.D(sum) {
				return nil, fmt.Errorf("axis %d has %v elements but the parts have %d together", i, in[0].Shape[i], sum)
			}
			return out, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(SplitAttr)
			var out []ir.Value
			start := 0
			for _, size := range at.Sizes.Slice() {
				out = append(out, b.Slice(n.In[0], at.Axis, start, start+size))
				start += size
			}
			return out
		},
		Cases: []Case{
			{In: f32s([]int{2, 9}), Attr: SplitAttr{-1, "2,3,4"}, Low: -1, High: 1},
			{Name: "outer axis", In: f32s([]int{4, 17}), Attr: SplitAttr{0, "1,3"}, Low: -1, High: 1},
			{Name: "one", In: f32s([]int{2, 3}), Attr: SplitAttr{1, "3"}, Low: -1, High: 1},
		},
	}
}

func pad() Def {
	return Def{Name: "pad", Title: "Pad", Doc: "y = x with elements of one value added before and after along each axis.", Attr: PadAttr{}, Cost: free, Sees: seesBut(cutAxis),
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(PadAttr)
			before, after := at.Before.Slice(), at.After.Slice()
			if len(before) != in[0].Rank() || len(after) != in[0].Rank() {
				return nil, fmt.Errorf("before has %d entries and after %d for %d axes", len(before), len(after), in[0].Rank())
			}
			shape := slices.Clone(in[0].Shape)
			for i, d := range shape {
				if before[i] < 0 || after[i] < 0 {
					return nil, fmt.Errorf("axis %d: %d before and %d after; want at least 0", i, before[i], after[i])
				}
				if before[i]+after[i] == 0 {
					continue
				}
				if err := wantKnown("x", in[0], i); err != nil {
					return nil, err
				}
				shape[i] = ir.D(before[i] + d.N + after[i])
			}
			return []ir.Type{in[0].With(shape...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(PadAttr)
			before, after := at.Before.Slice(), at.After.Slice()
			sizes := types[0].Sizes()
			to := slices.Clone(sizes)
			start := 0
			for i := range to {
				to[i] += before[i] + after[i]
			}
			st := strides(to)
			for i := range to {
				start += before[i] * st[i]
			}
			y := slices.Repeat([]float64{at.Value}, product(to))
			for i, o := range walk(sizes, st) {
				y[start+o] = in[0][i]
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			at := n.Attr.(PadAttr)
			before, after := at.Before.Slice(), at.After.Slice()
			dx := dy[0]
			for i, d := range n.In[0].Type().Shape {
				if before[i]+after[i] > 0 {
					dx = b.Slice(dx, i, before[i], before[i]+d.N)
				}
			}
			return []ir.Value{dx}
		},
		Cases: []Case{
			{In: f32s([]int{2, 3}), Attr: PadAttr{"1,0", "0,2", 0}, Low: -1, High: 1},
			{Name: "value", In: f32s([]int{2, 3, 4}), Attr: PadAttr{"0,0,1", "0,3,2", -0.5}, Low: -1, High: 1},
			{Name: "nothing", In: f32s([]int{3, 17}), Attr: PadAttr{"0,0", "0,0", 1}, Low: -1, High: 1},
			{Name: "large", In: f32s([]int{1024, 1000}), Attr: PadAttr{"0,12", "0,12", 0}, Low: -1, High: 1, Large: true},
		},
	}
}
