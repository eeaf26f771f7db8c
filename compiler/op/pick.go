package op

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// indices returns known places as an i32 constant.
func (b *Builder) indices(places []int) ir.Value {
	data, err := binary.Append(nil, binary.LittleEndian, toInt32(places))
	if err != nil {
		b.Fail(err)
	}
	shape := MakeDims(ir.D(len(places)))
	return b.one("constant", ConstantAttr{DType: "i32", Shape: shape, Data: string(data)})
}

func toInt32(v []int) []int32 {
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

// oneHot: ids [...] -> f32 [..., classes].
func oneHot() Def {
	return Def{Name: "one_hot", Title: "OneHot", Doc: "y = f32 vectors that are 1 at place x and 0 elsewhere; all 0 where x is out of range.",
		Attr: OneHotAttr{}, NoGrad: true, Cost: free,
		Ports: []Port{{Name: "x", Doc: "i32 or i64 [...]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			n := attr.(OneHotAttr).Classes
			if err := wantIndex("x", in[0]); err != nil {
				return nil, err
			}
			if n <= 0 {
				return nil, fmt.Errorf("classes is %d; want at least 1", n)
			}
			return []ir.Type{{DType: ir.F32, Shape: append(slices.Clone(in[0].Shape), ir.D(n))}}, nil
		},
		Ref: func(in [][]float64, _ []ir.Type, attr any) [][]float64 {
			n := attr.(OneHotAttr).Classes
			y := make([]float64, len(in[0])*n)
			for i, f := range in[0] {
				if k := int(f); k >= 0 && k < n {
					y[i*n+k] = 1
				}
			}
			return [][]float64{y}
		},
		Cases: []Case{
			{In: []ir.Type{ir.T(ir.I32, 2, 5)}, Attr: OneHotAttr{6}, Low: 0, High: 5},
			{Name: "out of range", In: []ir.Type{ir.T(ir.I32, 17)}, Attr: OneHotAttr{3}, Low: -2, High: 4},
			{Name: "i64", In: []ir.Type{ir.T(ir.I64, 3)}, Attr: OneHotAttr{17}, Low: 0, High: 16},
		},
	}
}

// pick: x [batch, seq, ...], index [batch] -> [batch, 1, ...].
func pick() Def {
	return Def{Name: "pick", Doc: "y[b, 0] = x[b, index[b]].", Cost: free,
		Ports: []Port{{Name: "x", Doc: "[batch, seq, ...]"}, {Name: "index", Doc: "i32 [batch], from 0"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			x, index := in[0], in[1]
			if err := first(wantAtLeast("x", x, "[batch, seq, ...]", 2), wantIndex("index", index), wantRank("index", index, "[batch]", 1)); err != nil {
				return nil, err
			}
			if x.Shape[0] != index.Shape[0] {
				return nil, fmt.Errorf("x has %v sequences but index has %v", x.Shape[0], index.Shape[0])
			}
			return []ir.Type{x.With(replaced(x.Shape, 1, ir.D(1))...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, _ any) [][]float64 {
			batch, seq, inner := around(types[0].Sizes(), 1)
			var y []float64
			for i := range batch {
				k := int(in[1][i])
				if k < 0 || k >= seq {
					y = append(y, slices.Repeat([]float64{math.NaN()}, inner)...)
					continue
				}
				y = append(y, in[0][(i*seq+k)*inner:(i*seq+k+1)*inner]...)
			}
			return [][]float64{y}
		},
		Grad: pickGrad,
		Cases: []Case{
			{In: floatAndIndex([]int{3, 5, 17}, []int{3}), Low: -1, High: 1, Bounds: upTo(1, 5)},
			{Name: "one row", In: floatAndIndex([]int{2, 1, 3}, []int{2}), Low: -1, High: 1, Bounds: upTo(1, 1)},
			{Name: "scalars", In: floatAndIndex([]int{3, 7}, []int{3}), Low: -1, High: 1, Bounds: upTo(1, 7)},
			{Name: "heads", In: floatAndIndex([]int{2, 5, 3, 4}, []int{2}), Low: -1, High: 1, Bounds: upTo(1, 5)},
			{Name: "i32", In: []ir.Type{ir.T(ir.I32, 2, 5), ir.T(ir.I32, 2)}, Low: 0, High: 4},
		},
	}
}

// pickGrad: dx[b, s] = dy[b, 0] where s = index[b], else 0.
func pickGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	x := n.In[0].Type()
	batch, seq := x.Shape[0], x.Shape[1]
	chosen := b.Eq(b.Iota(ir.I32, 0, seq), b.Cast(b.Reshape(n.In[1], batch, ir.D(1)), ir.I32))
	shape := []ir.Dim{batch, seq}
	for range x.Shape[2:] {
		shape = append(shape, ir.D(1))
	}
	return []ir.Value{b.Select(b.Reshape(chosen, shape...), dy[0], b.Scalar(0, dy[0])), {}}
}
