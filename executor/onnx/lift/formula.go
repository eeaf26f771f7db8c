package lift

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

func broadcastTo(shape []ir.Dim) op.BroadcastAttr {
	return op.BroadcastAttr{Shape: op.MakeDims(shape...)}
}

// Formulas of values. Each is computed now where what it reads is known.

func (l *lifter) cast(v *value, d ir.DType) *value {
	if v.typ.DType == d {
		return v
	}
	return l.op("cast", op.CastAttr{DType: d.String()}, v)
}

func (l *lifter) reshape(v *value, shape ...ir.Dim) *value {
	if v.nums == nil && v.node.Valid() && v.node.Node.Op == "reshape" { // only the last one counts
		v = &value{typ: v.node.Node.In[0].Type(), node: v.node.Node.In[0]}
	}
	if slices.Equal(v.typ.Shape, shape) {
		return v
	}
	if v.src != nil && v.src.perm == nil && v.nums == nil { // it stays in its file
		t := ir.Type{DType: v.typ.DType, Shape: shape}
		if t.Known() && t.Elems() == v.typ.Elems() {
			return &value{typ: t, src: v.src}
		}
	}
	return l.op("reshape", op.ReshapeAttr{Shape: op.MakeDims(shape...)}, v)
}

func (l *lifter) transpose(v *value, perm ...int) *value {
	if slices.IsSorted(perm) {
		return v
	}
	if v.src != nil && v.src.perm == nil && len(v.src.tensor.Shape) == len(perm) && v.nums == nil {
		t := ir.Type{DType: v.typ.DType}
		for i, p := range perm {
			if v.typ.Shape[p] != ir.D(v.src.tensor.Shape[p]) {
				return l.op("transpose", op.TransposeAttr{Perm: op.MakeInts(perm...)}, v)
			}
			t.Shape = append(t.Shape, v.typ.Shape[perm[i]])
		}
		return &value{typ: t, src: &source{v.src.tensor, v.src.name, perm}}
	}
	return l.op("transpose", op.TransposeAttr{Perm: op.MakeInts(perm...)}, v)
}

func (l *lifter) broadcast(v *value, shape ...ir.Dim) *value {
	if slices.Equal(v.typ.Shape, shape) {
		return v
	}
	return l.op("broadcast", broadcastTo(shape), v)
}

// cutAxis is v[start:stop] along an axis.
func (l *lifter) cutAxis(v *value, axis, start, stop int) *value {
	if start == 0 && v.typ.Shape[axis] == ir.D(stop) {
		return v
	}
	return l.op("slice", op.SliceAttr{Axis: axis, Start: start, Stop: stop, Step: 1}, v)
}

func (l *lifter) concat(axis int, vs ...*value) *value {
	if len(vs) == 1 {
		return vs[0]
	}
	return l.op("concat", op.AxisAttr{Axis: axis}, vs...)
}

// like is a number in v's element type.
func like(v *value, x float64) *value { return scalar(v.typ.DType, x) }

func (l *lifter) add(a, b *value) *value { return l.op("add", nil, a, b) }

func (l *lifter) sub(a, b *value) *value { return l.op("sub", nil, a, b) }

func (l *lifter) mul(a, b *value) *value { return l.op("mul", nil, a, b) }

func (l *lifter) div(a, b *value) *value { return l.op("div", nil, a, b) }

func (l *lifter) max(a, b *value) *value { return l.op("max", nil, a, b) }

func (l *lifter) min(a, b *value) *value { return l.op("min", nil, a, b) }

// floats is v in f32.
func (l *lifter) floats(v *value) *value { return l.cast(v, ir.F32) }

// act applies an activation function.
func (l *lifter) act(fn string, v *value) *value { return l.op("act", op.DefaultAct(fn), v) }

// without is a shape without axes.
func without(shape []ir.Dim, axes []int) []ir.Dim {
	var out []ir.Dim
	for i, d := range shape {
		if !slices.Contains(axes, i) {
			out = append(out, d)
		}
	}
	return out
}

// product multiplies sizes.
func product(dims []ir.Dim) ir.Dim {
	n := ir.D(1)
	for _, d := range dims {
		n = n.Mul(d)
	}
	return n
}
