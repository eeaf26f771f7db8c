package op

import "pipe.dev/compiler/ir"

// bodyWriter writes the bodies of cases, whose types are plain.
type bodyWriter struct{ *ir.Graph }

func (w bodyWriter) in(i int, sizes ...int) ir.Value {
	return w.AddInput(ScanInput(i), ir.T(ir.F32, sizes...), ir.Pos{})
}

func (w bodyWriter) weight(i int, sizes ...int) ir.Value {
	return w.AddState(ir.State{Path: ScanInput(i)}, ir.T(ir.F32, sizes...)).Read
}

func (w bodyWriter) op(name string, attr any, sizes []int, in ...ir.Value) ir.Value {
	return w.Add(&ir.Node{Op: name, Attr: attr, In: in, Types: []ir.Type{ir.T(ir.F32, sizes...)}})[0]
}

func (w bodyWriter) outputs(vs ...ir.Value) *ir.Graph {
	for i, v := range vs {
		w.Outputs = append(w.Outputs, ir.Output{Name: ScanInput(i), Value: v})
	}
	return w.Graph
}

// recurrent is h = tanh(x + h W) + b, which is what a step gives as well.
func recurrent(rows, size int) *ir.Graph {
	w := bodyWriter{&ir.Graph{}}
	s := []int{rows, size}
	x, h, weight, bias := w.in(0, s...), w.in(1, s...), w.weight(2, size, size), w.in(3, size)
	product := w.op("matmul", MatMulAttr{}, s, h, weight)
	sum := w.op("add", nil, s, product, x)
	next := w.op("add", nil, s, w.op("tanh", nil, s, sum), bias)
	return w.outputs(next, next)
}

// twoCarried has two values that take each other's place, of which one gives a row, and no
// input that every step reads.
func twoCarried() *ir.Graph {
	w := bodyWriter{&ir.Graph{}}
	s := []int{3}
	x, a, b := w.in(0, s...), w.in(1, s...), w.in(2, s...)
	product := w.op("mul", nil, s, a, b)
	return w.outputs(b, w.op("add", nil, s, product, x), w.op("sin", nil, s, a))
}

func scanCases() []Case {
	plain := func(name string, steps, rows, size int) Case {
		return Case{Name: name, In: f32s([]int{steps, rows, size}, []int{rows, size}, []int{size, size}, []int{size}),
			Attr: ScanAttr{Body: recurrent(rows, size), Rows: 1, Carries: 1}, Low: -0.5, High: 0.5, Tol: 1e-5}
	}
	reversed, kept, big := plain("reversed", 3, 2, 5), plain("kept", 3, 1, 4), plain("large", 256, 8, 512)
	reversed.Attr = ScanAttr{Body: recurrent(2, 5), Rows: 1, Carries: 1, Reverse: true}
	kept.Attr = ScanAttr{Body: recurrent(1, 4), Rows: 1, Carries: 1, Keep: true}
	big.Large = true
	w := bodyWriter{&ir.Graph{}}
	x := w.in(0, 4)
	counted := w.outputs(w.op("sin", nil, []int{4}, x))
	return []Case{
		plain("", 4, 2, 5), reversed, kept,
		{Name: "two carried", In: f32s([]int{3, 3}, []int{3}, []int{3}), Attr: ScanAttr{Body: twoCarried(), Rows: 1, Carries: 2}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "no rows", In: f32s([]int{4}), Attr: ScanAttr{Body: counted, Carries: 1, Steps: MakeDims(ir.D(3))}, Low: -1, High: 1},
		big,
	}
}
