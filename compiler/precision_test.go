package compiler

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/schema"
)

// narrowStep is a training step of a model in bf16, before the other passes.
func narrowStep(t *testing.T, m *schema.Model, phase Phase, to ir.DType, weight func(string) (ir.DType, bool)) *ir.Graph {
	t.Helper()
	table, o := newContext(t)
	o.Entry, o.Training, o.Weight = Entry{Name: string(phase)}, training(t, phase), weight
	o.Training.Precision = to
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if err == nil {
		g, err = precision(c, g)
	}
	if err == nil {
		g, err = learn(c, g)
	}
	if err == nil {
		err = verify(table, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestPrecision checks what a step in bf16 is: weights, what the optimizer
// keeps and all that it computes are f32, products of the model read bf16, and
// no gradient of a weight is rounded to bf16 on its way. Computed without
// rounding it is the same step as in f32.
func TestPrecision(t *testing.T) {
	const dir = "../testdata/golden/arch/qwen2"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := narrowStep(t, m, Step, ir.BF16, nil)
	for _, s := range g.States {
		if s.Read.Type().DType != ir.F32 {
			t.Errorf("%s is %v, want f32", s.Path, s.Read.Type())
		}
	}
	wide, narrow := 0, 0
	for _, n := range g.Nodes {
		if n.Op == "matmul" {
			switch at := n.Attr.(op.MatMulAttr); {
			case n.In[0].Type().DType == ir.BF16 && at.Wide:
				wide++
			case n.In[0].Type().DType == ir.BF16:
				narrow++
			}
		}
		if n.Op == "cast" && n.Types[0].DType == ir.F32 && n.In[0].Node.Op == "matmul" && n.In[0].Type().Rank() == 2 && n.In[0].Node.Attr.(op.MatMulAttr).TransA {
			t.Errorf("%v: the gradient of a weight is rounded", n.Pos)
		}
	}
	if weights := 3 * 7; wide != weights || narrow != 2*weights {
		t.Errorf("%d products give f32 and %d bf16, want %d and %d", wide, narrow, weights, 2*weights)
	}

	sizes := map[string]int{"batch": 2, "seq": 6}
	bound, err := bind(nil, g, sizes)
	if err != nil {
		t.Fatal(err)
	}
	plain := newProgram(t, m, Step, false, sizes)
	in := batch(t, dir, 0, 2, 6)
	want := weights(t, dir, modelStates(plain.graph))
	got := maps.Clone(want)
	a, b := plain.run(want, in), (&program{t, plain.table, bound}).run(got, in)
	if d := far(a["loss"], b["loss"]); d > 1e-10 {
		t.Errorf("losses differ by %v", d)
	}
	for _, s := range plain.graph.States {
		if d := far(want[s.Path], got[s.Path]); d > 1e-9 {
			t.Errorf("%s differs by %v", s.Path, d)
		}
	}
}

// TestFrozenStorage checks that weights that stay are read in the type in which
// they are stored, by the product itself.
func TestFrozenStorage(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/qwen2")
	if err != nil {
		t.Fatal(err)
	}
	table, o := newContext(t)
	o.Training = training(t, Step)
	o.Training.Adapter = &Adapter{Layer: ofRank(2, 2, func(path string) bool { return strings.HasSuffix(path, "_proj") })}
	o.Weight = func(string) (ir.DType, bool) { return ir.BF16, true }
	p, err := Compile(m, table, o)
	if err != nil {
		t.Fatal(err)
	}
	products := 0
	for _, n := range p.Graph().Nodes {
		if n.Op == "cast" && n.In[0].Node.Op == ir.OpState && n.Types[0].Rank() == 2 {
			t.Errorf("%v: a stored weight is widened as a whole", n.Pos)
		}
		if n.Op == "linear" && n.In[1].Type().DType == ir.BF16 {
			products++
		}
	}
	if least := 2*3*7 - 3; products < least { // the first layer's input needs no gradient
		t.Errorf("%d products read stored weights, want at least %d", products, least)
	}
}

// TestLossScale holds steps whose gradients are finite or not against those of
// torch.amp.GradScaler and AdamW: the scale, and the weight, after each.
func TestLossScale(t *testing.T) {
	text, err := os.ReadFile("../testdata/golden/train/loss_scale.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Init                 float64
		Interval             int
		Pattern              string
		Grads, Scale, Weight []float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 3 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		table, o := newContext(t)
		o.Training = training(t, Step)
		objectives, err := train.Objectives()
		if err != nil {
			t.Fatal(err)
		}
		mse, _ := objectives.Lookup("mse")
		o.Training.Losses = []train.Term{{Objective: mse, In: map[string]train.Source{"targets": {Batch: "targets"}}, Weight: 1}}
		o.Training.ClipNorm, o.Training.Decays = 0, nil
		o.Training.LossScale = &train.LossScale{Init: c.Init, Interval: c.Interval}
		b := op.NewBuilder(table)
		x := b.Graph.AddInput("x", ir.T(ir.F32, 1), ir.Pos{})
		w := b.Graph.AddState(ir.State{Path: "w", Kind: ir.Weight}, ir.T(ir.F32, 1))
		b.Graph.Outputs = []ir.Output{{Name: "out", Value: b.Mul(w.Read, x)}}
		p, err := Optimize(b.Graph, table, o)
		if err != nil {
			t.Fatal(err)
		}
		step := &program{t, table, p.Graph()}
		states := map[string][]float64{"w": {1}}
		for _, s := range p.Graph().States {
			if init, err := strconv.ParseFloat(s.Init, 64); s.Kind == ir.Moment {
				if err != nil && s.Init != "zeros" {
					t.Fatalf("%s begins as %q", s.Path, s.Init)
				}
				states[s.Path] = []float64{init}
			}
		}
		for i, g := range c.Grads { // of (w - target)²
			in := map[string][]float64{"x": {1}, "targets": {states["w"][0] - g/2}, "lr": {0.01}, "step": {float64(i + 1)}}
			if c.Pattern[i] == '-' {
				in["x"] = []float64{math.Inf(1)}
			}
			out := step.run(states, in)
			if out["loss_scale"][0] != c.Scale[i] || out["skipped"][0] != 0 != (c.Pattern[i] == '-') {
				t.Fatalf("%s: step %d: scale %v, want %v", c.Pattern, i, out["loss_scale"], c.Scale[i])
			}
			if d := math.Abs(states["w"][0] - c.Weight[i]); !(d <= 1e-9) {
				t.Fatalf("%s: step %d: weight %v, want %v", c.Pattern, i, states["w"], c.Weight[i])
			}
		}
	}
}

// TestPrecisionPasses checks that the passes keep the meaning of a narrow step,
// those among them that only such a step sees included, and that no more than
// one wide tensor of the size of the hidden states waits for the backward pass.
func TestPrecisionPasses(t *testing.T) {
	const dir = "../testdata/golden/arch/llama31"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"batch": 2, "seq": 6}
	plain := newProgram(t, m, Step, false, sizes)
	table, o := newContext(t)
	o.Entry, o.Training = Entry{Name: "step"}, training(t, Step)
	o.Training.Precision = ir.BF16
	p, err := Compile(m, table, o)
	if err != nil {
		t.Fatal(err)
	}
	g, err := bind(nil, p.Graph(), sizes)
	if err != nil {
		t.Fatal(err)
	}
	in := batch(t, dir, 0, 2, 6)
	want := weights(t, dir, modelStates(plain.graph))
	got := maps.Clone(want)
	plain.run(want, in)
	(&program{t, table, g}).run(got, in)
	for _, s := range plain.graph.States {
		if d := far(want[s.Path], got[s.Path]); d > 1e-9 {
			t.Errorf("%s differs by %v", s.Path, d)
		}
	}
	forward, waiting := forwardNodes(g), map[ir.Value]bool{}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			if !forward[i] && v.Valid() && forward[v.Node.ID] && v.Type().DType == ir.F32 && v.Node.Op != ir.OpState && v.Type().Elems() >= 2*6*64 {
				waiting[v] = true
			}
		}
	}
	if len(waiting) > 1 {
		t.Errorf("%d wide tensors wait for the backward pass: %v", len(waiting), waiting)
	}
}
