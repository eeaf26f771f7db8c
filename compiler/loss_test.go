package compiler

import (
	"maps"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/schema"
)

// preferences is a training of DPO, on the model itself or on an adapter.
func preferences(t *testing.T, m *schema.Model, phase Phase, a *Adapter) *program {
	t.Helper()
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	j, _ := objectives.Lookup("dpo")
	table, o := newContext(t)
	o.Training = training(t, phase)
	o.Training.Adapter = a
	o.Training.Losses = []train.Term{{Objective: j, Attr: train.DPOAttr{Beta: 0.5}, Weight: 1, Measures: []string{"accuracy", "margin"},
		In: map[string]train.Source{"targets": {Batch: "targets"}, "weights": {Batch: "weights"}}}}
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if err == nil {
		g, err = adapt(c, sized(g, map[string]int{"batch": 4}))
	}
	if err == nil {
		g, err = learn(c, g)
	}
	if err == nil {
		g, err = bind(c, g, map[string]int{"batch": 4, "seq": 5})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &program{t, table, g}
}

// TestReference checks that preferences begin without any, ln 2 a pair, whatever
// the weights, that steps lower the loss while the reference stays, and that
// the gradient of the adapter is that of central differences.
func TestReference(t *testing.T) {
	const dir = "../testdata/golden/arch/llama"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*Adapter{
		"all weights": nil,
		"adapter":     {Layer: ofRank(2, 2, func(path string) bool { return train.Match("q_proj", path) || train.Match("down_proj", path) })},
	} {
		t.Run(name, func(t *testing.T) {
			step, evaluate, sums := preferences(t, m, Step, a), preferences(t, m, Evaluate, a), preferences(t, m, Accumulate, a)
			states := referenceWeights(t, dir, step.graph)
			in := batch(t, dir, 0, 4, 5)
			start := evaluate.run(maps.Clone(states), in)
			if x := math.Abs(start["loss"][0] - 2*math.Ln2); x > 1e-12 || start["count"][0] != 2 || start["measure/accuracy"][0] != 0 {
				t.Errorf("two pairs begin with a loss of %v (count %v, accuracy %v), want 2 ln 2", start["loss"], start["count"], start["measure/accuracy"])
			}
			before := maps.Clone(states)
			for range 4 {
				step.run(states, in)
			}
			after := evaluate.run(maps.Clone(states), in)
			if after["loss"][0] > 0.9*start["loss"][0] || after["measure/accuracy"][0] != 1 || after["measure/margin"][0] <= 0 {
				t.Errorf("after 4 steps the loss is %v, accuracy %v, margin %v", after["loss"], after["measure/accuracy"], after["measure/margin"])
			}
			for _, s := range step.graph.States {
				_, copied := train.ReferenceOf(s.Path)
				stays := s.Kind == ir.Weight && (copied || a != nil && !train.IsAdapter(s.Path))
				if stays && far(states[s.Path], before[s.Path]) > 0 {
					t.Errorf("%s changed", s.Path)
				}
			}
			checkGradients(t, sums, evaluate, states, in)
		})
	}
}

// referenceWeights are those of a checkpoint, copied for the reference, with an
// adapter of small numbers.
func referenceWeights(t *testing.T, dir string, g *ir.Graph) map[string][]float64 {
	t.Helper()
	own := &ir.Graph{}
	for _, s := range modelStates(g).States {
		if _, copied := train.ReferenceOf(s.Path); !copied && !train.IsAdapter(s.Path) {
			own.States = append(own.States, s)
		}
	}
	states := weights(t, dir, own)
	for _, s := range modelStates(g).States {
		if of, copied := train.ReferenceOf(s.Path); copied {
			states[s.Path] = states[of]
		}
		if train.IsAdapter(s.Path) {
			values := make([]float64, s.Read.Type().Elems())
			for i := range values {
				if s.Init != "zeros" {
					values[i] = 0.1 * math.Sin(float64(3*i+1))
				}
			}
			states[s.Path] = values
		}
	}
	return states
}

// checkGradients compares gradients with central differences.
func checkGradients(t *testing.T, sums, evaluate *program, states, in map[string][]float64) {
	t.Helper()
	grads := maps.Clone(states)
	for _, s := range sums.graph.States {
		if s.Kind == ir.Gradient {
			grads[s.Path] = make([]float64, s.Read.Type().Elems())
		}
	}
	sums.run(grads, in)
	checked := 0
	for _, s := range sums.graph.States {
		grad := grads[s.Path+"#grad"]
		if s.Kind != ir.Weight || grad == nil {
			continue
		}
		i := len(grad) / 2
		const h = 1e-5
		loss := func(by float64) float64 {
			moved := maps.Clone(states)
			moved[s.Path] = append([]float64{}, states[s.Path]...)
			moved[s.Path][i] += by
			return evaluate.run(moved, in)["loss"][0]
		}
		if want := (loss(h) - loss(-h)) / (2 * h); math.Abs(grad[i]-want) > 1e-7*math.Max(1, math.Abs(want)) {
			t.Errorf("gradient of %s[%d] is %v, want %v", s.Path, i, grad[i], want)
		}
		checked++
	}
	if checked < 4 {
		t.Errorf("only %d gradients were checked", checked)
	}
}

// TestTerms checks that several losses are the sum of their means, each times
// its weight, and that a part's optimizer keeps its own.
func TestTerms(t *testing.T) {
	const dir = "../testdata/golden/arch/llama"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	l1, _ := objectives.Lookup("l1")
	hidden := "model.norm"
	made := func(phase Phase, both bool) *program {
		table, o := newContext(t)
		o.Training = training(t, phase)
		o.Training.Part = "first"
		o.Training.Losses[0].Name = "tokens"
		if both {
			o.Training.Losses = append(o.Training.Losses, train.Term{Name: "size", Objective: l1, Y: hidden, Weight: 0.25,
				In: map[string]train.Source{"targets": {Value: 0.5}}})
		}
		o.Entry.Take = []string{hidden}
		c := &context{table: table, opt: &o}
		g, err := elaborate(c, m)
		if err == nil {
			g, err = learn(c, g)
		}
		if err == nil {
			g, err = bind(c, g, map[string]int{"batch": 2, "seq": 5})
		}
		if err != nil {
			t.Fatal(err)
		}
		return &program{t, table, g}
	}
	one, two, step := made(Evaluate, false), made(Evaluate, true), made(Step, true)
	in := batch(t, dir, 0, 2, 5)
	states := weights(t, dir, modelStates(step.graph))
	a, b := one.run(maps.Clone(states), in), two.run(maps.Clone(states), in)
	tokens, size := b["mean/tokens"][0], b["mean/size"][0]
	if x := tokens - a["loss"][0]/a["count"][0]; math.Abs(x) > 1e-12 || size <= 0 {
		t.Errorf("means are %v and %v; the first alone is %v", tokens, size, a["loss"][0]/a["count"][0])
	}
	if x := b["loss"][0]/b["count"][0] - tokens - 0.25*size; math.Abs(x) > 1e-12 {
		t.Errorf("the loss is off by %v", x)
	}
	checkGradients(t, made(Accumulate, true), two, states, in)
	for _, s := range step.graph.States {
		if s.Kind == ir.Moment && !train.Match("*#first/*", s.Path) {
			t.Errorf("a moment of the part is called %s", s.Path)
		}
	}
}
