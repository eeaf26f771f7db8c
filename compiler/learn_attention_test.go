package compiler

import (
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Training computes the gradient of attention without a tensor that is as
// large as all scores, also where documents in a row do not see each other.
func TestScoresAreNeverATensor(t *testing.T) {
	const batch, seq, heads = 2, 48, 4
	for _, c := range []struct {
		isolated  bool
		precision ir.DType
	}{{false, ir.F32}, {true, ir.F32}, {true, ir.BF16}} {
		table, o := newContext(t)
		o.Entry, o.Training = Entry{Name: string(Step)}, training(t, Step)
		o.Training.Isolate, o.Training.Precision = c.isolated, c.precision
		p, err := Compile(stack(t, 2), table, o)
		if err != nil {
			t.Fatal(err)
		}
		g, err := bind(&context{table: table, opt: &o}, p.Graph(), map[string]int{"batch": batch, "seq": seq})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for _, n := range g.Nodes {
			found[n.Op]++
			for _, out := range n.Types {
				if out.Elems() >= batch*heads*seq*seq && n.Op != ir.OpState && slices.Contains(out.Sizes(), seq) {
					t.Errorf("%+v: %s gives %v, as large as the scores of %d heads", c, n.Op, out, heads)
				}
			}
		}
		if found["attention"] != 2 || found["attention_grad"] != 2 {
			t.Errorf("%+v: %d attention and %d attention_grad in 2 layers", c, found["attention"], found["attention_grad"])
		}
	}
}

// A mask that is made of weights gets its gradient: attention is lowered.
func TestMaskOfWeightsIsLearned(t *testing.T) {
	table, _ := newContext(t)
	model := op.NewBuilder(table)
	x := model.Graph.AddInput("x", ir.T(ir.F32, 1, 3, 2, 4), ir.Pos{})
	bias := model.Graph.AddState(ir.State{Path: "bias", Kind: ir.Weight, Init: "zeros"}, ir.T(ir.F32, 3, 3)).Read
	y := model.Apply("attention", op.AttentionAttr{}, x, x, x, model.Neg(bias), ir.Value{}, ir.Value{}, ir.Value{})[0]
	plain := model.Apply("attention", op.AttentionAttr{}, x, x, x, ir.Value{}, ir.Value{}, ir.Value{}, ir.Value{})[0]
	model.Graph.Outputs = []ir.Output{{Name: "y", Value: model.Add(y, plain)}}
	if model.Err() != nil {
		t.Fatal(model.Err())
	}
	l := &learner{Builder: op.NewBuilder(table), t: &Training{}}
	at := l.Lowered(model.Graph, l.hasGradient)
	out := at[model.Graph.Outputs[0].Value]
	grads := l.Grad(out, out, l.Graph.States[0].Read)
	if l.Err() != nil {
		t.Fatal(l.Err())
	}
	if !grads[0].Valid() {
		t.Error("the bias gets no gradient")
	}
	whole := 0
	for _, n := range l.Graph.Nodes {
		if n.Op == "attention" {
			whole++
		}
	}
	if whole != 1 {
		t.Errorf("%d ops attention, want the one whose mask does not learn", whole)
	}
}

// Asked for the gradient of its mask, attention says that it has none.
func TestGradientOfMaskIsRefused(t *testing.T) {
	table, _ := newContext(t)
	b := op.NewBuilder(table)
	x := b.Graph.AddInput("x", ir.T(ir.F32, 1, 3, 2, 4), ir.Pos{})
	mask := b.Graph.AddInput("mask", ir.T(ir.F32, 3, 3), ir.Pos{})
	y := b.Apply("attention", op.AttentionAttr{}, x, x, x, mask, ir.Value{}, ir.Value{}, ir.Value{})[0]
	if b.Grad(y, y, mask); b.Err() == nil {
		t.Error("the gradient of the mask is missing without an error")
	}
}
