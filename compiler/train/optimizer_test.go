package train_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

func newOptimizers(t testing.TB) *train.Table[*train.Optimizer] {
	t.Helper()
	table, err := train.Optimizers()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// attributes are the defaults of a row with the fields of a document.
func attributes(t testing.TB, d *train.Def, fields map[string]any) any {
	t.Helper()
	a, err := d.Default()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = attr.Decode(a, fields); err != nil {
		t.Fatal(err)
	}
	return a
}

// run is the graph of one step of one weight.
type run struct {
	b     *op.Builder
	slots []train.Slot
}

func newRun(t testing.TB, o *train.Optimizer, a any, w ir.Type, decay bool) run {
	t.Helper()
	b := op.NewBuilder(newOps(t))
	scalar := func(name string) ir.Value { return b.Graph.AddInput(name, ir.T(ir.F32), ir.Pos{}) }
	u := train.Update{Attr: a, W: b.Graph.AddInput("w", w, ir.Pos{}), G: b.Graph.AddInput("g", w, ir.Pos{}), LR: scalar("lr"), Step: scalar("t"), Decay: decay}
	r := run{b: b, slots: o.Slots(a, w)}
	for _, s := range r.slots {
		u.Slots = append(u.Slots, b.Graph.AddInput(s.Name, s.Type, ir.Pos{}))
	}
	next, slots := o.Update(b, u)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: "w", Value: next})
	for i, s := range r.slots {
		if s.Init != "zeros" || !slots[i].Type().Equal(s.Type) {
			t.Fatalf("slot %s: starts with %q, is %v, becomes %v", s.Name, s.Init, s.Type, slots[i].Type())
		}
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: s.Name, Value: slots[i]})
	}
	return r
}

// start gives the inputs before the first step.
func (r run) start(w []float64) map[string][]float64 {
	in := map[string][]float64{"w": w}
	for _, s := range r.slots {
		in[s.Name] = make([]float64, s.Type.Elems())
	}
	return in
}

// step computes one step and keeps its results in in.
func (r run) step(t testing.TB, in map[string][]float64, g []float64, lr float64, number int) {
	t.Helper()
	in["g"], in["lr"], in["t"] = g, []float64{lr}, []float64{float64(number)}
	out, err := op.Eval(r.b.Table, r.b.Graph, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range out {
		in[name] = v
	}
}

// Twenty steps with changing gradients and rates give PyTorch's weights.
func TestOptimizersGolden(t *testing.T) {
	table := newOptimizers(t)
	seen := map[string]bool{}
	check := func(t *testing.T, f fixture) {
		seen[f.Name] = true
		for k := range weightsIn(t, f) {
			golden20(t, table, f, k)
		}
	}
	each(t, "optimizers", 27, check)
	each(t, "optimizers8", 4, check)
	for _, name := range table.Names() {
		if !seen[name] {
			t.Errorf("no fixture of %s", name)
		}
	}
}

// weightsIn counts the weights of a fixture.
func weightsIn(t *testing.T, f fixture) int {
	t.Helper()
	n := 0
	for f.types[fmt.Sprintf("w.%d", n)].DType != ir.Invalid {
		n++
	}
	if n == 0 {
		t.Fatal("no weights")
	}
	return n
}

// kept are the steps whose weights fixtures have: STEPS of train.py.
func kept() []int { return []int{1, 2, 7, 20} }

// golden20 makes the steps of weight k of a fixture, in float64.
func golden20(t *testing.T, table *train.Table[*train.Optimizer], f fixture, k int) {
	t.Helper()
	o, ok := table.Lookup(f.Name)
	if !ok {
		t.Fatalf("no optimizer %s", f.Name)
	}
	name := fmt.Sprintf("w.%d", k)
	w := f.types[name]
	r := newRun(t, o, attributes(t, &o.Def, f.Attr), w, true)
	in := r.start(f.values[name])
	grads, after, n := f.values[fmt.Sprintf("g.%d", k)], f.values[name+".after"], w.Elems()
	for i, lr := range f.values["lr"] {
		r.step(t, in, grads[i*n:(i+1)*n], lr, i+1)
		if slices.Contains(kept(), i+1) {
			near(t, fmt.Sprintf("%s after %d steps", name, i+1), in["w"], after[:n], 1e-10)
			after = after[n:]
		}
	}
	if len(after) != 0 {
		t.Fatalf("%d values were not compared", len(after))
	}
}

// A weight that does not decay takes the steps of weight_decay 0, and another
// one those of its weight_decay.
func TestDecaySwitch(t *testing.T) {
	w, g := []float64{1, -2, 3, 0.5}, []float64{0.3, -0.1, 0.2, 0.7}
	for _, o := range newOptimizers(t).Defs() {
		with := attributes(t, &o.Def, decode(t, `{"weight_decay": 0.5}`))
		without := attributes(t, &o.Def, decode(t, `{"weight_decay": 0}`))
		after := func(a any, decay bool) []float64 {
			r := newRun(t, o, a, ir.T(ir.F32, 2, 2), decay)
			in := r.start(w)
			r.step(t, in, g, 0.1, 1)
			r.step(t, in, []float64{-0.2, 0.4, 0.1, 0.3}, 0.1, 2)
			return in["w"]
		}
		near(t, o.Name, after(with, false), after(without, true), 0)
		if d := after(with, true); d[0] == after(with, false)[0] {
			t.Errorf("%s: weight_decay changes nothing", o.Name)
		}
	}
}

// A weight narrower than f32 keeps its type; its state has f32.
func TestNarrowWeights(t *testing.T) {
	for _, o := range newOptimizers(t).Defs() {
		a := attributes(t, &o.Def, nil)
		r := newRun(t, o, a, ir.T(ir.BF16, 4, 2), true)
		if got := r.b.Graph.Outputs[0].Value.Type(); !got.Equal(ir.T(ir.BF16, 4, 2)) {
			t.Errorf("%s: next weight is %v", o.Name, got)
		}
		for _, s := range r.slots {
			if s.Type.DType != ir.F32 {
				t.Errorf("%s: slot %s is %v", o.Name, s.Name, s.Type)
			}
		}
	}
}

// Muon gives what is no matrix, and what its patterns name, to AdamW.
func TestMuonParts(t *testing.T) {
	o, _ := newOptimizers(t).Lookup("muon")
	a := attributes(t, &o.Def, nil)
	for _, c := range []struct {
		path  string
		shape []ir.Dim
		want  string
		rate  float64
	}{
		{"model.layers.0.mlp.up_proj.weight", []ir.Dim{ir.D(8), ir.D(4)}, "muon", 1},
		{"model.layers.0.input_layernorm.weight", []ir.Dim{ir.D(8)}, "adamw", 0.015},
		{"model.embed_tokens.weight", []ir.Dim{ir.D(8), ir.D(4)}, "adamw", 0.015},
		{"lm_head.weight", []ir.Dim{ir.D(8), ir.D(4)}, "adamw", 0.015},
	} {
		p := o.Part(a, c.path, c.shape)
		if p.Optimizer.Name != c.want || p.Rate != c.rate {
			t.Errorf("%s goes to %s at %v times the rate, want %s at %v", c.path, p.Optimizer.Name, p.Rate, c.want, c.rate)
		}
	}
	inner := o.Part(a, "b", []ir.Dim{ir.D(3)})
	if got := inner.Attr.(train.AdamWAttr); got.Betas != [2]float64{0.9, 0.95} || got.Eps != 1e-8 || got.WeightDecay != 0.1 {
		t.Errorf("the inner AdamW has %+v", got)
	}
}

// What does not fit is an error that says what was wanted.
func TestUpdateErrors(t *testing.T) {
	table := newOptimizers(t)
	sgd, _ := table.Lookup("sgd")
	muon, _ := table.Lookup("muon")
	if _, err := sgd.Decode(decode(t, `{"momentum": 0.9, "dampening": 0.1, "nesterov": true}`)); err == nil ||
		err.Error() != "sgd: nesterov needs momentum above 0 and dampening 0, have 0.9 and 0.1" {
		t.Errorf("nesterov with dampening gives %v", err)
	}
	for _, c := range []struct {
		o         *train.Optimizer
		w, g, lr  ir.Type
		slot      ir.Type
		wantError string
	}{
		{sgd, ir.T(ir.F32, 2), ir.T(ir.F32, 3), ir.T(ir.F32), ir.T(ir.F32, 2), "sgd: weight is f32[2] but its gradient f32[3]"},
		{sgd, ir.T(ir.I32, 2), ir.T(ir.I32, 2), ir.T(ir.F32), ir.T(ir.F32, 2), "sgd: weight is i32[2]; want floating-point numbers"},
		{sgd, ir.T(ir.F32, 2), ir.T(ir.F32, 2), ir.T(ir.F32, 1), ir.T(ir.F32, 2), "sgd: learning rate and step are f32[1] and f32[1]; want scalars of f32"},
		{sgd, ir.T(ir.F32, 2), ir.T(ir.F32, 2), ir.T(ir.F32), ir.T(ir.BF16, 2), "sgd: slot momentum_buffer is bf16[2], want f32[2]"},
		{muon, ir.T(ir.F32, 2), ir.T(ir.F32, 2), ir.T(ir.F32), ir.T(ir.F32, 2), "muon: weight is f32[2]; want a matrix of known sizes"},
	} {
		b := op.NewBuilder(newOps(t))
		in := func(ty ir.Type) ir.Value { return b.Graph.AddInput("x", ty, ir.Pos{}) }
		c.o.Update(b, train.Update{Attr: attributes(t, &c.o.Def, nil), W: in(c.w), G: in(c.g), LR: in(c.lr), Step: in(c.lr), Slots: []ir.Value{in(c.slot)}})
		if err := b.Err(); err == nil || !strings.HasSuffix(err.Error(), c.wantError) {
			t.Errorf("got %v, want %s", err, c.wantError)
		}
	}
}
