package compiler

import (
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/schema"
)

// TestTF32 checks whose products may be rounded: those of the model and of its
// gradients, where both operands are f32, and none of what else a training computes.
// Nothing but that is different in a plan.
func TestTF32(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/qwen2")
	if err != nil {
		t.Fatal(err)
	}
	compiled := func(tf32 bool, weights ir.DType, learns *Training) (text string, allowed, products int) {
		t.Helper()
		table, o := newContext(t)
		sizes := map[string]int{"batch": 2, "seq": 6}
		if o.TF32, o.Training, o.Entry = tf32, learns, (Entry{Name: "forward"}); learns != nil {
			o.Entry.Name = string(learns.Phase)
		}
		o.Weight = func(string) (ir.DType, bool) { return weights, true }
		p, err := Compile(m, table, o)
		if err != nil {
			t.Fatal(err)
		}
		made, err := p.Plan(sizes)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range made.Steps {
			switch s.Op {
			case "matmul", "linear", "gated_linear", "linear_cross_entropy_grad":
				products++
				if strings.Contains(ir.AttrString(s.Attr), "tf32=true") {
					allowed++
				}
			}
		}
		text = strings.NewReplacer("{tf32=true}", "", " tf32=true", "", "{tf32=true ", "{", "hash "+made.Hash(), "").Replace(made.String())
		return text, allowed, products
	}
	for _, c := range []struct {
		what    string
		weights ir.DType
		learns  *Training
		none    bool
	}{{"forward", ir.F32, nil, false}, {"step", ir.F32, training(t, Step), false}, {"forward with weights in bf16", ir.BF16, nil, true}} {
		plain, none, _ := compiled(false, c.weights, c.learns)
		text, some, all := compiled(true, c.weights, c.learns)
		if want := map[bool]int{false: all}[c.none]; none != 0 || some != want || all == 0 {
			t.Errorf("%s: %d of %d products may be rounded, want %d; %d where none may", c.what, some, all, want, none)
		}
		if text != plain {
			t.Errorf("%s: the permission changes more of the plan than attributes:\n%s\nwithout:\n%s", c.what, text, plain)
		}
	}
}
