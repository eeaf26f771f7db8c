package op

import "pipe.dev/compiler/ir"

// Both subtract the greatest element first, so that nothing overflows.

func softmax() Def {
	return alongAxis(Def{Name: "softmax", Title: "Softmax", Doc: "y = exp(x) / sum(exp(x)) along an axis.",
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			i := n.Attr.(AxisAttr).Axis
			e := b.Exp(b.Sub(x, b.ReduceMax(x, true, i)))
			return b.Div(e, b.Sum(e, true, i))
		}),
		// From y alone, so that no exponential is kept or computed again.
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			y := ir.Value{Node: n}
			sum := b.Sum(b.Mul(dy[0], y), true, n.Attr.(AxisAttr).Axis)
			return []ir.Value{b.Mul(y, b.Sub(dy[0], sum))}
		}})
}

func logSoftmax() Def {
	return alongAxis(Def{Name: "log_softmax", Title: "LogSoftmax", Doc: "y = x - ln(sum(exp(x))) along an axis.",
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value {
			i := n.Attr.(AxisAttr).Axis
			z := b.Sub(x, b.ReduceMax(x, true, i))
			return b.Sub(z, b.Log(b.Sum(b.Exp(z), true, i)))
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			sum := b.Sum(dy[0], true, n.Attr.(AxisAttr).Axis)
			return []ir.Value{b.Sub(dy[0], b.Mul(b.Exp(ir.Value{Node: n}), sum))}
		}})
}

func alongAxis(d Def) Def {
	d.Attr = AxisAttr{}
	d.Ports = []Port{{Name: "x", Doc: "the operand"}}
	d.Infer = keepsType(wantFloat)
	d.Cost = func(in, out []ir.Type, attr any) int64 { return 5 * int64(in[0].Elems()) }
	d.Cases = []Case{
		{In: f32s([]int{3, 17}), Attr: AxisAttr{-1}, Low: -4, High: 4, Tol: 2e-6},
		{Name: "middle axis", In: f32s([]int{2, 5, 3}), Attr: AxisAttr{1}, Low: -4, High: 4, Tol: 2e-6},
		{Name: "outer axis", In: f32s([]int{7, 3}), Attr: AxisAttr{0}, Low: -4, High: 4, Tol: 2e-6},
		{Name: "far", In: f32s([]int{2, 33}), Attr: AxisAttr{-1}, Low: 400, High: 440, Tol: 2e-6},
		{Name: "one element", In: f32s([]int{3, 1}), Attr: AxisAttr{-1}, Low: -4, High: 4},
		{Name: "large", In: f32s([]int{1024, 1024}), Attr: AxisAttr{-1}, Low: -4, High: 4, Tol: 2e-6, Large: true},
		{Name: "large 64 MiB", In: f32s([]int{8192, 2048}), Attr: AxisAttr{-1}, Low: -4, High: 4, Tol: 2e-6, Large: true},
	}
	return d
}
