package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

func shapeDefs() []Def {
	return []Def{transpose(), reshape(), broadcastDef(), slice(), concat(), split(), pad(), heads(), mergeHeads()}
}

// free is the cost of moving data.
func free([]ir.Type, []ir.Type, any) int64 { return 0 }

func f32s(shapes ...[]int) []ir.Type {
	var in []ir.Type
	for _, s := range shapes {
		in = append(in, ir.T(ir.F32, s...))
	}
	return in
}

func transpose() Def {
	return Def{Name: "transpose", Title: "Transpose", Doc: "y = x with axis i taken from axis perm[i].", Attr: TransposeAttr{}, Cost: free, Sees: seesTransposed,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			perm, err := permutation(attr.(TransposeAttr).Perm, in[0].Rank())
			if err != nil {
				return nil, err
			}
			shape := make([]ir.Dim, len(perm))
			for i, p := range perm {
				shape[i] = in[0].Shape[p]
			}
			return []ir.Type{in[0].With(shape...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			sizes := types[0].Sizes()
			perm, _ := permutation(attr.(TransposeAttr).Perm, len(sizes))
			own := strides(sizes)
			to, st := make([]int, len(perm)), make([]int, len(perm))
			for i, p := range perm {
				to[i], st[i] = sizes[p], own[p]
			}
			return [][]float64{pickAll(in[0], walk(to, st))}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			perm, _ := permutation(n.Attr.(TransposeAttr).Perm, n.Types[0].Rank())
			back := make([]int, len(perm))
			for i, p := range perm {
				back[p] = i
			}
			return []ir.Value{b.Transpose(dy[0], back...)}
		},
		Cases: []Case{
			{In: f32s([]int{3, 5}), Attr: TransposeAttr{"1,0"}, Low: -1, High: 1},
			{Name: "heads", In: f32s([]int{2, 3, 4, 7}), Attr: TransposeAttr{"0,2,1,3"}, Low: -1, High: 1},
			{Name: "negative", In: f32s([]int{2, 17, 33}), Attr: TransposeAttr{"-1,0,-2"}, Low: -1, High: 1},
			{Name: "five axes", In: f32s([]int{2, 3, 2, 3, 4}), Attr: TransposeAttr{"0,2,3,1,4"}, Low: -1, High: 1},
			{Name: "same", In: f32s([]int{2, 3}), Attr: TransposeAttr{"0,1"}, Low: -1, High: 1},
			{Name: "i32", In: []ir.Type{ir.T(ir.I32, 3, 5)}, Attr: TransposeAttr{"1,0"}, Low: -9, High: 9},
			{Name: "large", In: f32s([]int{1024, 1024}), Attr: TransposeAttr{"1,0"}, Low: -1, High: 1, Large: true},
		},
	}
}

func permutation(l Ints, rank int) ([]int, error) {
	perm := l.Slice()
	if len(perm) != rank {
		return nil, fmt.Errorf("perm has %d entries for %d axes", len(perm), rank)
	}
	if _, err := axes(l, rank); err != nil {
		return nil, fmt.Errorf("perm: %w", err)
	}
	for i, p := range perm {
		perm[i], _ = axis(p, rank)
	}
	return perm, nil
}

// pickAll returns the elements of x at offsets.
func pickAll(x []float64, offsets []int) []float64 {
	y := make([]float64, len(offsets))
	for i, o := range offsets {
		y[i] = x[o]
	}
	return y
}

func reshape() Def {
	return Def{Name: "reshape", Title: "Reshape", Doc: "y = the elements of x in a new shape.", Attr: ReshapeAttr{}, Cost: free, View: true, Sees: seesReshaped,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			shape, err := reshaped(in[0], attr.(ReshapeAttr).Shape)
			if err != nil {
				return nil, err
			}
			return []ir.Type{in[0].With(shape...)}, nil
		},
		Ref: func(in [][]float64, _ []ir.Type, _ any) [][]float64 { return [][]float64{slices.Clone(in[0])} },
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.Reshape(dy[0], n.In[0].Type().Shape...)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 6}), Attr: ReshapeAttr{"3,4"}, Low: -1, High: 1},
			{Name: "rest", In: f32s([]int{2, 3, 17}), Attr: ReshapeAttr{"-1,17"}, Low: -1, High: 1},
			{Name: "scalar", In: f32s([]int{1, 1}), Attr: ReshapeAttr{""}, Low: -1, High: 1},
			{Name: "i32", In: []ir.Type{ir.T(ir.I32, 6)}, Attr: ReshapeAttr{"6,1,1"}, Low: -9, High: 9},
		},
	}
}

func reshaped(x ir.Type, l Dims) ([]ir.Dim, error) {
	shape, err := l.Slice()
	if err != nil {
		return nil, err
	}
	rest, total := -1, ir.D(1)
	for i, d := range shape {
		switch {
		case d == ir.D(-1) && rest >= 0:
			return nil, fmt.Errorf("shape %s has two sizes of -1", ir.ShapeString(shape))
		case d == ir.D(-1):
			rest = i
		default:
			total = total.Mul(d)
		}
	}
	have := x.Len()
	if rest < 0 {
		if have != total {
			return nil, fmt.Errorf("%s has %v elements but %s has %v", ir.ShapeString(x.Shape), have, ir.ShapeString(shape), total)
		}
		return shape, nil
	}
	q, ok := have.Div(total)
	if !ok {
		return nil, fmt.Errorf("%v elements of %s do not divide by %v of %s", have, ir.ShapeString(x.Shape), total, ir.ShapeString(shape))
	}
	shape[rest] = q
	return shape, nil
}

func broadcastDef() Def {
	return Def{Name: "broadcast", Title: "Broadcast", Doc: "y = x repeated to a shape.", Attr: BroadcastAttr{}, Cost: free, Sees: seesAlike,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			shape, err := attr.(BroadcastAttr).Shape.Slice()
			if err != nil {
				return nil, err
			}
			if !repeats(in[0].Shape, shape) {
				return nil, fmt.Errorf("%s does not repeat to %s", ir.ShapeString(in[0].Shape), ir.ShapeString(shape))
			}
			return []ir.Type{in[0].With(shape...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			shape, _ := attr.(BroadcastAttr).Shape.Slice()
			return [][]float64{pickAll(in[0], spread(types[0].Sizes(), sizesOf(shape)))}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.sumTo(dy[0], n.In[0].Type().Shape)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 1}), Attr: BroadcastAttr{"2,17"}, Low: -1, High: 1},
			{Name: "row", In: f32s([]int{17}), Attr: BroadcastAttr{"2,3,17"}, Low: -1, High: 1},
			{Name: "middle", In: f32s([]int{3, 1, 5}), Attr: BroadcastAttr{"2,3,4,5"}, Low: -1, High: 1},
			{Name: "scalar", In: f32s([]int{}), Attr: BroadcastAttr{"3,3"}, Low: -1, High: 1},
			{Name: "i32", In: []ir.Type{ir.T(ir.I32, 3, 1)}, Attr: BroadcastAttr{"3,5"}, Low: -9, High: 9},
			{Name: "large", In: f32s([]int{1024, 1}), Attr: BroadcastAttr{"1024,1024"}, Low: -1, High: 1, Large: true},
		},
	}
}

// heads: [..., n*d] -> [..., n, d].
func heads() Def {
	return Def{Name: "heads", Title: "Heads", Doc: "y = x with its last axis [n*d] split into [n, d].", Attr: HeadsAttr{}, Cost: free, View: true, Sees: seesReshaped,
		Ports: []Port{{Name: "x", Doc: "[..., n*d]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			n := attr.(HeadsAttr).N
			if err := wantAtLeast("x", in[0], "[..., n*d]", 1); err != nil {
				return nil, err
			}
			d, ok := lastDim(in[0]).Div(ir.D(n))
			if !ok || n <= 0 {
				return nil, fmt.Errorf("last axis is %v, which %d heads do not divide", lastDim(in[0]), n)
			}
			lead := slices.Clone(in[0].Shape[:in[0].Rank()-1])
			return []ir.Type{in[0].With(append(lead, ir.D(n), d)...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return []ir.Value{b.Reshape(n.In[0], n.Types[0].Shape...)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 3, 12}), Attr: HeadsAttr{4}, Low: -1, High: 1},
			{Name: "one", In: f32s([]int{2, 17}), Attr: HeadsAttr{1}, Low: -1, High: 1},
		},
	}
}

// mergeHeads: [..., n, d] -> [..., n*d].
func mergeHeads() Def {
	return Def{Name: "merge_heads", Title: "MergeHeads", Doc: "y = x with its last two axes [n, d] joined into [n*d].", Cost: free, View: true, Sees: seesReshaped,
		Ports: []Port{{Name: "x", Doc: "[..., n, d]"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			x := in[0]
			if err := wantAtLeast("x", x, "[..., n, d]", 2); err != nil {
				return nil, err
			}
			lead := slices.Clone(x.Shape[:x.Rank()-2])
			return []ir.Type{x.With(append(lead, x.Shape[x.Rank()-2].Mul(lastDim(x)))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return []ir.Value{b.Reshape(n.In[0], n.Types[0].Shape...)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 3, 4, 5}), Low: -1, High: 1},
			{Name: "one", In: f32s([]int{1, 17}), Low: -1, High: 1},
		},
	}
}
