package compiler

import (
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// training is AdamW on cross-entropy, with clipping and decay groups.
func training(t testing.TB, phase Phase) *Training {
	t.Helper()
	optimizers, err := train.Optimizers()
	if err != nil {
		t.Fatal(err)
	}
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	o, _ := optimizers.Lookup("adamw")
	j, _ := objectives.Lookup("cross_entropy")
	loss := train.Term{Objective: j, Weight: 1, In: map[string]train.Source{"targets": {Batch: "targets"}, "weights": {Batch: "weights"}}}
	made := &Training{Phase: phase, Optimizer: o, ClipNorm: 0.5,
		Decays: func(_ string, shape []ir.Dim) bool { return len(shape) > 1 }}
	if made.OptimizerAttr, err = o.Default(); err != nil {
		t.Fatal(err)
	}
	if loss.Attr, err = j.Default(); err != nil {
		t.Fatal(err)
	}
	made.Losses = []train.Term{loss}
	return made
}

// program evaluates a phase of training in float64.
type program struct {
	t     *testing.T
	table *op.Table
	graph *ir.Graph
}

func newProgram(t *testing.T, m *schema.Model, phase Phase, optimize bool, sizes map[string]int) *program {
	t.Helper()
	table, o := newContext(t)
	o.Entry, o.Training = Entry{Name: string(phase)}, training(t, phase)
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if err != nil {
		t.Fatal(err)
	}
	if optimize {
		p, err := Optimize(g, table, o)
		if err != nil {
			t.Fatal(err)
		}
		g = p.Graph()
	} else if g, err = learn(c, g); err != nil {
		t.Fatal(err)
	}
	if err := verify(table, g); err != nil {
		t.Fatal(err)
	}
	if g, err = bind(c, g, sizes); err != nil {
		t.Fatal(err)
	}
	return &program{t, table, g}
}

// run makes one call; states are replaced by their next values.
func (p *program) run(states map[string][]float64, inputs map[string][]float64) map[string][]float64 {
	p.t.Helper()
	out, err := op.Eval(p.table, p.graph, inputs, states)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range p.graph.States {
		if s.Next.Valid() {
			states[s.Path] = out[s.Path]
		}
	}
	return out
}

// batch is rows of the reference ids: next-token targets, some masked.
func batch(t *testing.T, dir string, from, rows, seq int) map[string][]float64 {
	t.Helper()
	list, err := tensorfile.Read(dir + "/expected.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]float64{"lr": {0.01}, "step": {1}}
	for _, x := range list {
		if x.Name != "ids" {
			continue
		}
		ids, all := x.Float64s(), x.Type.Sizes()[1]
		for r := from; r < from+rows; r++ {
			row := ids[(r%2)*all+r : (r%2)*all+r+seq+1]
			in["ids"] = append(in["ids"], row[:seq]...)
			in["targets"] = append(in["targets"], row[1:]...)
			for k := range seq {
				in["weights"] = append(in["weights"], float64(min(1, (k+r)%4)))
			}
		}
	}
	return in
}

func far(a, b []float64) float64 {
	var most float64
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= most) {
			most = d
		}
	}
	if len(a) != len(b) {
		return math.Inf(1)
	}
	return most
}

// TestAccumulate checks that micro-batches of different counts and an update
// give what one step with all of them gives.
func TestAccumulate(t *testing.T) {
	const dir = "../testdata/golden/arch/llama"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	whole := newProgram(t, m, Step, false, map[string]int{"batch": 3, "seq": 5})
	first := newProgram(t, m, Accumulate, false, map[string]int{"batch": 1, "seq": 5})
	rest := newProgram(t, m, Accumulate, false, map[string]int{"batch": 2, "seq": 5})
	update := newProgram(t, m, Update, false, nil)
	want, got := weights(t, dir, modelStates(whole.graph)), weights(t, dir, modelStates(whole.graph))
	before := maps.Clone(want)
	for range 2 {
		a := whole.run(want, batch(t, dir, 0, 3, 5))
		b := first.run(got, batch(t, dir, 0, 1, 5))
		c := rest.run(got, batch(t, dir, 1, 2, 5))
		d := update.run(got, map[string][]float64{"lr": {0.01}, "step": {1}})
		if x := math.Abs(a["loss"][0] - b["loss"][0] - c["loss"][0]); x > 1e-12 || a["count"][0] != b["count"][0]+c["count"][0] {
			t.Errorf("losses and counts add up to something else: %v", x)
		}
		if x := math.Abs(a["grad_norm"][0] - d["grad_norm"][0]); x > 1e-12 {
			t.Errorf("norms differ by %v", x)
		}
	}
	moved := 0
	for _, s := range whole.graph.States {
		if x := far(want[s.Path], got[s.Path]); x > 1e-11 {
			t.Errorf("%s differs by %v", s.Path, x)
		}
		if s.Kind == ir.Weight && far(want[s.Path], before[s.Path]) > 1e-3 {
			moved++
		}
	}
	if moved < 10 {
		t.Errorf("only %d weights moved", moved)
	}
	if x := far(got["#count"], []float64{0}); x != 0 {
		t.Errorf("the count begins the next step at %v", x)
	}
}

// modelStates is g with the states that a checkpoint holds only.
func modelStates(g *ir.Graph) *ir.Graph {
	out := &ir.Graph{}
	for _, s := range g.States {
		if s.Kind == ir.Weight {
			out.States = append(out.States, s)
		}
	}
	return out
}

// TestLearnPasses checks that the passes keep the meaning of a training step,
// and that its loss is that of the evaluation.
func TestLearnPasses(t *testing.T) {
	const dir = "../testdata/golden/arch/llama31"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"batch": 2, "seq": 6}
	plain, passed := newProgram(t, m, Step, false, sizes), newProgram(t, m, Step, true, sizes)
	evaluate := newProgram(t, m, Evaluate, true, sizes)
	in := batch(t, dir, 0, 2, 6)
	want, got := weights(t, dir, modelStates(plain.graph)), weights(t, dir, modelStates(plain.graph))
	loss := evaluate.run(maps.Clone(want), in)["loss"][0]
	a, b := plain.run(want, in), passed.run(got, in)
	if math.Abs(a["loss"][0]-loss) > 1e-10 || math.Abs(b["loss"][0]-loss) > 1e-10 {
		t.Errorf("losses are %v, %v and %v", loss, a["loss"], b["loss"])
	}
	for _, s := range plain.graph.States {
		if x := far(want[s.Path], got[s.Path]); x > 1e-9 {
			t.Errorf("%s differs by %v after the passes", s.Path, x)
		}
	}
}

// TestGradientOfModel checks the gradients of a whole model, through a step of
// plain gradient descent, against central differences of its loss.
func TestGradientOfModel(t *testing.T) {
	const dir = "../testdata/golden/arch/qwen2"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"batch": 2, "seq": 5}
	step, evaluate := newProgram(t, m, Accumulate, false, sizes), newProgram(t, m, Evaluate, false, sizes)
	in := batch(t, dir, 0, 2, 5)
	states := weights(t, dir, modelStates(step.graph))
	step.run(states, in)
	r := rand.New(rand.NewPCG(8, 9))
	for _, s := range step.graph.States {
		if s.Kind != ir.Weight {
			continue
		}
		grad, w := states[s.Path+"#grad"], states[s.Path]
		i := r.IntN(len(w))
		const h = 1e-6
		loss := func(by float64) float64 {
			moved := maps.Clone(states)
			moved[s.Path] = append([]float64{}, w...)
			moved[s.Path][i] += by
			return evaluate.run(moved, in)["loss"][0]
		}
		if want := (loss(h) - loss(-h)) / (2 * h); math.Abs(grad[i]-want) > 1e-6*math.Max(1, math.Abs(want)) {
			t.Errorf("gradient of %s[%d] is %v, want %v", s.Path, i, grad[i], want)
		}
	}
}

// TestIsolate checks that two documents packed into one row have the losses
// and the gradients that they have alone.
func TestIsolate(t *testing.T) {
	const dir = "../testdata/golden/arch/mistral"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	make := func(isolated bool, sizes map[string]int) *program {
		table, o := newContext(t)
		o.Training = training(t, Accumulate)
		o.Training.Isolate = isolated
		c := &context{table: table, opt: &o}
		g, err := elaborate(c, m)
		if err == nil {
			g, err = isolate(c, g)
		}
		if err == nil {
			g, err = learn(c, g)
		}
		if err == nil {
			g, err = bind(c, g, sizes)
		}
		if err != nil {
			t.Fatal(err)
		}
		return &program{t, table, g}
	}
	packed := make(true, map[string]int{"batch": 1, "seq": 9})
	mixed := make(false, map[string]int{"batch": 1, "seq": 9})
	first, second := make(false, map[string]int{"batch": 1, "seq": 4}), make(false, map[string]int{"batch": 1, "seq": 5})
	in := batch(t, dir, 0, 1, 9)
	in["segments"] = []float64{0, 0, 0, 0, 1, 1, 1, 1, 1}
	cut := func(from, to int) map[string][]float64 {
		return map[string][]float64{"ids": in["ids"][from:to], "targets": in["targets"][from:to], "weights": in["weights"][from:to]}
	}
	together, apart := weights(t, dir, modelStates(first.graph)), weights(t, dir, modelStates(first.graph))
	a := packed.run(together, in)["loss"][0]
	b := first.run(apart, cut(0, 4))["loss"][0] + second.run(apart, cut(4, 9))["loss"][0]
	if math.Abs(a-b) > 1e-9 {
		t.Errorf("packed the loss is %v, apart %v", a, b)
	}
	for path := range apart {
		if x := far(together[path], apart[path]); x > 1e-8 {
			t.Errorf("%s differs by %v", path, x)
		}
	}
	if c := mixed.run(weights(t, dir, modelStates(first.graph)), in)["loss"][0]; math.Abs(a-c) < 1e-3 {
		t.Error("without isolation the loss is the same: the test proves nothing")
	}
}
