package compiler

import (
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/schema"
)

// A narrow value that is made and widened in one op is read as that op leaves it.
func TestWidenedWithin(t *testing.T) {
	table, o := newContext(t)
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.T(ir.BF16, 3, 5), ir.Pos{})
	wide := b.Cast(b.Mul(x, x), ir.F32)
	b.Graph.Outputs = []ir.Output{{Name: "a", Value: b.Exp(wide)}, {Name: "b", Value: b.Sin(wide)}}
	p, err := Optimize(b.Graph, table, o)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, n := range p.graph.Nodes {
		if n.Op == "elementwise" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d chains, want one: %v", made, p.graph)
	}
}

// A step of an optimizer is one pass over each weight and what is kept of it,
// where these lie: the mean of the gradient, clipping, the next weight, the next
// slots and the average are one op with several results. What is before it
// reads each gradient once, for the norm.
func TestStepIsOnePass(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/llama31")
	if err != nil {
		t.Fatal(err)
	}
	optimizers, err := train.Optimizers()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sgd", "adam", "adamw", "rmsprop", "adagrad", "lion"} {
		table, o := newContext(t)
		o.Training = training(t, Step)
		o.Training.Optimizer, _ = optimizers.Lookup(name)
		if o.Training.OptimizerAttr, err = o.Training.Optimizer.Default(); err != nil {
			t.Fatal(err)
		}
		o.Training.Average = &train.Average{Decay: 0.99}
		p, err := Compile(m, table, o)
		if err != nil {
			t.Fatal(err)
		}
		made, err := p.Plan(map[string]int{"batch": 2, "seq": 6})
		if err != nil {
			t.Fatal(err)
		}
		steps, sums, weights := map[string]int{}, 0, 0
		for _, s := range made.Steps {
			part, path, _ := strings.Cut(s.Pos.Path, ".")
			switch large := s.Out[0].Type.Elems() > 1; {
			case large && (part == name || part == "average"):
				steps[path]++
				if want := 2 + len(o.Training.Optimizer.Slots(o.Training.OptimizerAttr, s.Out[0].Type)); s.Op != "elementwise" || len(s.Out) != want {
					t.Errorf("%s: %s makes %d results of %s, want one elementwise op with %d", name, s.Op, len(s.Out), path, want)
				}
				for _, out := range s.Out {
					if out.State < 0 {
						t.Errorf("%s: a result of %s does not lie in its state", name, path)
					}
				}
			case large && (part == "mean" || part == "clip"):
				t.Errorf("%s: %s makes a tensor of a gradient: %v", name, s.Op, s.Out[0].Type)
			case s.Op == "elementwise_sum" && part == "clip":
				sums++
			}
		}
		for _, s := range made.States {
			if s.Kind == ir.Weight && s.Changes {
				weights++
				if steps[s.Path] != 1 {
					t.Errorf("%s: %d passes over %s, want 1", name, steps[s.Path], s.Path)
				}
			}
		}
		if weights < 10 || sums != weights {
			t.Errorf("%s: %d sums of squares for %d weights", name, sums, weights)
		}
	}
}
