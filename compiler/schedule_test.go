package compiler

import (
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/schema"
)

// In a narrow training each weight is made narrow once for a step, just before it is first
// read: so narrow forms of weights lie beside activations only from there on.
func TestNarrowWeightsComeLate(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/llama31")
	if err != nil {
		t.Fatal(err)
	}
	table, o := newContext(t)
	o.Training = training(t, Step)
	o.Training.Precision = ir.BF16
	p, err := Compile(m, table, o)
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Plan(map[string]int{"batch": 2, "seq": 6})
	if err != nil {
		t.Fatal(err)
	}
	ofStates := func(s plan.Step) bool {
		return !slices.ContainsFunc(s.In, func(in plan.Place) bool { return in.State == plan.Work })
	}
	times := map[int]int{}
	for i, s := range made.Steps {
		if s.Op != "cast" || s.In[0].State < 0 {
			continue
		}
		times[s.In[0].State]++
		k := i + 1
		for k < len(made.Steps) && ofStates(made.Steps[k]) {
			k++
		}
		reads := func(in plan.Place) bool { return in.State == plan.Work && in.Offset == s.Out[0].Offset }
		if k == len(made.Steps) || !slices.ContainsFunc(made.Steps[k].In, reads) {
			t.Errorf("%s is made narrow at step %d, and not read by the next of activations, %d", made.States[s.In[0].State].Path, i, k)
		}
	}
	for state, n := range times {
		if n > 1 {
			t.Errorf("%s is made narrow %d times", made.States[state].Path, n)
		}
	}
	if len(times) == 0 {
		t.Error("no weight is made narrow")
	}
}
