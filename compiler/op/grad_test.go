package op

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// input adds an input of known sizes.
func input(b *Builder, name string, t ir.DType, sizes ...int) ir.Value {
	return b.Graph.AddInput(name, ir.T(t, sizes...), ir.Pos{})
}

// values evaluates single values of a graph.
func values(t *testing.T, b *Builder, in map[string][]float64, vs ...ir.Value) [][]float64 {
	t.Helper()
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	all, err := Values(b.Table, b.Graph, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]float64, len(vs))
	for i, v := range vs {
		out[i] = all[v]
	}
	return out
}

func equal(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
	for i := range want {
		if got[i] != want[i] && !(math.Abs(got[i]-want[i]) <= 1e-12) && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Fatalf("%s is %v, want %v", what, got, want)
		}
	}
}

// y = x*x + 3x: gradients of all paths add up, and nothing flows to z.
func TestGradSums(t *testing.T) {
	b := NewBuilder(newTable(t))
	x, z := input(b, "x", ir.F32, 3), input(b, "z", ir.F32, 3)
	y := b.Add(b.Mul(x, x), b.Mul(x, b.Scalar(3, x)))
	b.Mul(y, z) // not part of y
	dy := input(b, "dy", ir.F32, 3)
	g := b.Grad(y, dy, x, z, y)
	if g[1].Valid() {
		t.Error("something flows to z")
	}
	if g[2] != dy {
		t.Error("the gradient of y itself is not dy")
	}
	got := values(t, b, map[string][]float64{"x": {1, 2, -3}, "z": {0, 0, 0}, "dy": {1, 10, 100}}, g[0])
	equal(t, "dx", got[0], []float64{5, 70, -300})
}

// Only one output of two gets a gradient; equal elements keep their order.
func TestGradOfOutputs(t *testing.T) {
	b := NewBuilder(newTable(t))
	x := input(b, "x", ir.F32, 2, 4)
	top := b.Apply("topk", TopKAttr{K: 2}, x)
	dy := input(b, "dy", ir.F32, 2, 2)
	dx := b.Grad(top[0], dy, x)[0]
	got := values(t, b, map[string][]float64{"x": {1, 4, 4, 2, 9, 8, 7, 9}, "dy": {1, 2, 3, 4}}, top[0], top[1], dx)
	equal(t, "values", got[0], []float64{4, 4, 9, 9})
	equal(t, "indices", got[1], []float64{1, 2, 0, 3})
	equal(t, "dx", got[2], []float64{0, 1, 2, 0, 3, 0, 0, 4})
}

// Slopes at kinks: those of PyTorch for activations, shared among ties.
func TestKinks(t *testing.T) {
	b := NewBuilder(newTable(t))
	x := input(b, "x", ir.F32, 1)
	dy := b.Fill(1, ir.F32, ir.D(1))
	at := ActAttr{Slope: 0.1, Alpha: 1.5}
	var slopes []ir.Value
	for _, fn := range []string{"relu", "leaky_relu", "elu", "relu2"} {
		at.Fn = fn
		slopes = append(slopes, b.Grad(b.activation(at, x), dy, x)[0])
	}
	slopes = append(slopes, b.Grad(b.Max(x, b.Scalar(0, x)), dy, x)[0], b.Grad(b.Abs(x), dy, x)[0])
	got := values(t, b, map[string][]float64{"x": {0}}, slopes...)
	for i, want := range []float64{0, 0.1, 1.5, 0, 0.5, 0} {
		equal(t, "slope", got[i], []float64{want})
	}
	twice := b.Concat(0, x, x, b.Add(x, x))
	dx := b.Grad(b.ReduceMax(twice, false), b.Fill(6, ir.F32), twice)[0]
	equal(t, "shared", values(t, b, map[string][]float64{"x": {-1}}, dx)[0], []float64{3, 3, 0})
}

func TestGradErrors(t *testing.T) {
	table := newTable(t)
	at := ir.Pos{File: "m.cue", Line: 7, Col: 3, Path: "model.act"}
	for name, c := range map[string]struct {
		build func(b *Builder, x ir.Value) (y, dy ir.Value)
		want  string
	}{
		"fused": {func(b *Builder, x ir.Value) (ir.Value, ir.Value) {
			y := b.one("elementwise", ElementwiseAttr{Expr: "x0 exp"}, x)
			return y, y
		}, "m.cue:7:3: model.act: elementwise: has no gradient of its own; the graph must be lowered first"},
		"type": {func(b *Builder, x ir.Value) (ir.Value, ir.Value) {
			return b.Exp(x), b.Sum(x, false)
		}, "m.cue:7:3: model.act: grad: the value is f32[n,4] but its gradient f32[]"},
		"named axis": {func(b *Builder, x ir.Value) (ir.Value, ir.Value) {
			y := b.Gather(x, b.Iota(ir.I32, 0, ir.D(1)), 0)
			return y, y
		}, "m.cue:7:3: model.act: gather: gradient: axis 0 of x is n; want a known number"},
	} {
		b := NewBuilder(table)
		x := b.Graph.AddInput("x", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("n"), ir.D(4)}}, ir.Pos{})
		b.Pos = at
		y, dy := c.build(b, x)
		b.Grad(y, dy, x)
		var e *Error
		if err := b.Err(); !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%s: error is %v, want %s", name, err, c.want)
		}
	}
}

// After the first error nothing is built, nothing panics, and it is the one reported.
func TestBuilderSticks(t *testing.T) {
	b := NewBuilder(newTable(t))
	x := input(b, "x", ir.F32, 2, 3)
	y := b.Add(x, input(b, "z", ir.F32, 5))
	n := len(b.Graph.Nodes)
	for _, p := range b.Split(y, 0, 1, 1, 1) {
		y = b.Mul(y, p)
	}
	v := b.Apply("topk", TopKAttr{K: 1}, y)
	y = b.Add(v[0], b.Cast(v[1], ir.F32))
	y = b.Div(b.Mean(y, true, -1), b.Count(y, ir.Sym("n")))
	if g := b.Grad(y, y, x); g[0].Valid() || len(b.Graph.Nodes) != n {
		t.Error("something was built after an error")
	}
	if err := b.Err(); err == nil || !strings.HasPrefix(err.Error(), "add: [2,3] and [5]") {
		t.Errorf("error is %v", err)
	}
	b = NewBuilder(newTable(t))
	b.Apply("nothing", nil)
	if err := b.Err(); err == nil || err.Error() != "nothing: unknown op" {
		t.Errorf("error is %v", err)
	}
}

// Lowered keeps what it is told to, inputs, states, outputs and positions.
func TestLowered(t *testing.T) {
	table := newTable(t)
	src := NewBuilder(table)
	x := input(src, "x", ir.F32, 2, 4)
	src.Pos = ir.Pos{Path: "model.norm"}
	w := src.Graph.AddState(ir.State{Path: "model.norm.weight", Init: "ones", Pos: src.Pos}, ir.T(ir.F32, 4))
	y := src.Apply("rms_norm", RMSNormAttr{Eps: 1e-6}, x, w.Read)[0]
	y = src.Softmax(y, -1)
	w.Next = src.Add(w.Read, src.Mean(y, false, 0))
	src.Graph.Outputs = []ir.Output{{Name: "y", Value: y}}

	b := NewBuilder(table)
	at := b.Lowered(src.Graph, func(n *ir.Node) bool { return n.Op == "rms_norm" })
	if err := first(src.Err(), b.Err(), b.Graph.Verify()); err != nil {
		t.Fatal(err)
	}
	ops := map[string]int{}
	for _, n := range b.Graph.Nodes {
		ops[n.Op]++
		if n.Op != ir.OpInput && n.Pos.Path != "model.norm" {
			t.Errorf("%s has lost its position", n.Op)
		}
	}
	if ops["rms_norm"] != 1 || ops["softmax"] != 0 || ops["reduce_mean"] != 0 || ops["exp"] != 1 {
		t.Errorf("ops are %v", ops)
	}
	s := b.Graph.States[0]
	if s.Path != "model.norm.weight" || s.Init != "ones" || s.Next != at[w.Next] || b.Graph.Outputs[0].Value != at[y] {
		t.Errorf("the ends of the graph are lost:\n%v", b.Graph)
	}
	in := map[string][]float64{"x": {1, 2, 3, 4, -1, 0, 1, 5}}
	state := map[string][]float64{"model.norm.weight": {1, 2, 1, 0.5}}
	want, err := Eval(table, src.Graph, in, state)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Eval(table, b.Graph, in, state)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "y", got["y"], want["y"])
	equal(t, "the next weight", got["model.norm.weight"], want["model.norm.weight"])
	if len(got) != 2 || got["model.norm.weight"][1] <= 2 {
		t.Errorf("results are %v", got)
	}
}

func TestEvalErrors(t *testing.T) {
	b := NewBuilder(newTable(t))
	x := input(b, "x", ir.F32, 2)
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: b.Exp(x)}, {Name: "y", Value: x}}
	if _, err := Eval(b.Table, b.Graph, nil, nil); err == nil || err.Error() != `input: no value for "x"` {
		t.Errorf("error is %v", err)
	}
	if _, err := Eval(b.Table, b.Graph, map[string][]float64{"x": {1, 2, 3}}, nil); err == nil || err.Error() != "input: output 0 has 3 elements, want 2 of f32[2]" {
		t.Errorf("error is %v", err)
	}
	if _, err := Eval(b.Table, b.Graph, map[string][]float64{"x": {1, 2}}, nil); err == nil || err.Error() != `two results are called "y"` {
		t.Errorf("error is %v", err)
	}
	b.Graph.AddInput("n", ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.Sym("n")}}, ir.Pos{})
	if _, err := Eval(b.Table, b.Graph, map[string][]float64{"x": {1, 2}}, nil); err == nil || err.Error() != "input: result is f32[n]; want known sizes" {
		t.Errorf("error is %v", err)
	}
}
