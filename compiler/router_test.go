package compiler

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/schema"
)

// fixtureOf reads a file of testdata/golden.
func fixtureOf(t *testing.T, path string) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, filepath.Join("../testdata/golden", path))
}

// losing is a phase that learns from the given losses.
func losing(t *testing.T, m *schema.Model, phase Phase, balance *train.Balance, sizes map[string]int, losses ...train.Term) *program {
	t.Helper()
	table, o := newContext(t)
	o.Entry, o.Training = Entry{Name: string(phase)}, training(t, phase)
	o.Training.Losses, o.Training.Balance, o.Training.ClipNorm = losses, balance, 0
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if err == nil {
		g, err = dropout(c, g)
	}
	if err == nil {
		g, err = learn(c, g)
	}
	if err == nil {
		g, err = bind(c, g, sizes)
	}
	if err == nil {
		err = verify(table, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &program{t, table, g}
}

// lossTerm is a use of one of the objectives.
func lossTerm(t *testing.T, name string, weight float64, y string, attr any, in map[string]train.Source) train.Term {
	t.Helper()
	objectives, err := train.Objectives()
	if err != nil {
		t.Fatal(err)
	}
	o, ok := objectives.Lookup(name)
	if !ok {
		t.Fatalf("no objective %s", name)
	}
	if attr == nil {
		if attr, err = o.Default(); err != nil {
			t.Fatal(err)
		}
	}
	return train.Term{Name: name, Objective: o, Attr: attr, Weight: weight, Y: y, In: in}
}

// zeroed adds sums of gradients, and of loads, to states.
func zeroed(states map[string][]float64, g *ir.Graph) map[string][]float64 {
	out := maps.Clone(states)
	for _, s := range g.States {
		if out[s.Path] == nil {
			out[s.Path] = make([]float64, s.Read.Type().Elems())
		}
	}
	return out
}

// TestRouterGradients checks a mixture of experts against transformers with
// output_router_logits: the losses and the gradients of all weights, through
// the choice of experts too.
func TestRouterGradients(t *testing.T) {
	const dir = "../testdata/golden/arch/mixtral"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fixtureOf(t, "train/mixtral_grads.safetensors")
	ids := fixtureOf(t, "arch/mixtral/expected.safetensors")["ids"]
	seq := ids.Type.Sizes()[1]
	row := ids.Float64s()[:seq]
	p := losing(t, m, Accumulate, nil, map[string]int{"batch": 1, "seq": seq},
		lossTerm(t, "cross_entropy", 1, "", nil, map[string]train.Source{"targets": {Batch: "targets"}}),
		lossTerm(t, "load_balance", 0.02, "*.gate.logits", train.LoadBalanceAttr{K: 2, Scores: "softmax", Over: "batch", Layers: "together"}, map[string]train.Source{"taken": {Token: "*.choice.taken"}}),
		lossTerm(t, "router_z", 0.001, "*.gate.logits", nil, nil))
	states := zeroed(weights(t, dir, modelStates(p.graph)), p.graph)
	out := p.run(states, map[string][]float64{"ids": row, "targets": append(slices.Clone(row[1:]), -100)})
	for name, have := range map[string]float64{"loss": out["loss"][0] / out["count"][0], "aux": out["mean/load_balance"][0], "z": out["mean/router_z"][0]} {
		if x := want[name].Float64s()[0]; !(math.Abs(have-x) <= 1e-9) {
			t.Errorf("%s is %v, want %v", name, have, x)
		}
	}
	checked := 0
	for path, x := range want {
		grad := states[strings.Replace(path, ".all.", ".{e}.", 1)+"#grad"]
		if grad == nil {
			continue
		}
		var size float64
		for i, v := range x.Float64s() {
			size = max(size, math.Abs(v))
			grad[i] /= out["count"][0]
		}
		if d := far(grad, x.Float64s()); !(d <= 1e-8*size) {
			t.Errorf("gradient of %s is off by %v of %v", path, d, size)
		}
		checked++
	}
	if checked != 4 {
		t.Errorf("%d gradients were checked, want 4", checked)
	}
}

// TestBalance checks that biases follow the load of experts as the paper says,
// by one step and by micro-batches, that no gradient or decay moves them, and
// that the weights go on learning.
func TestBalance(t *testing.T) {
	const dir = "../testdata/golden/arch/deepseek_v3"
	m, err := schema.LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fixtureOf(t, "router/deepseek_bias.safetensors")
	ids := fixtureOf(t, "arch/deepseek_v3/expected.safetensors")["ids"]
	seq := ids.Type.Sizes()[1]
	balance := &train.Balance{Bias: "*.e_score_correction_bias", Taken: "*.choice.taken", Rate: 0.001}
	made := func(phase Phase, rows int) *program {
		return losing(t, m, phase, balance, map[string]int{"batch": rows, "seq": seq},
			lossTerm(t, "cross_entropy", 1, "", nil, map[string]train.Source{"targets": {Batch: "targets"}}))
	}
	step, part, update := made(Step, 2), made(Accumulate, 1), made(Update, 1)
	in := func(from, rows int) map[string][]float64 {
		all := ids.Float64s()[from*seq : (from+rows)*seq]
		return map[string][]float64{"ids": all, "targets": all, "lr": {0.01}, "step": {1}}
	}
	whole := zeroed(weights(t, dir, modelStates(step.graph)), step.graph)
	parts := zeroed(whole, update.graph)
	before := maps.Clone(whole)
	step.run(whole, in(0, 2))
	for i := range 2 {
		part.run(parts, in(i, 1))
	}
	update.run(parts, in(0, 1))
	checked := 0
	for path, x := range want {
		if path == "load" {
			continue
		}
		checked++
		for how, states := range map[string]map[string][]float64{"a step": whole, "micro-batches": parts} {
			if d := far(states[path], x.Float64s()); !(d <= 1e-12) {
				t.Errorf("%s is off by %v after %s", path, d, how)
			}
		}
		if far(before[path], whole[path]) == 0 {
			t.Errorf("%s did not change", path)
		}
		if whole[path+"#m"] != nil {
			t.Errorf("%s has moments", path)
		}
	}
	if checked != 2 || far(before["lm_head.weight"], whole["lm_head.weight"]) == 0 {
		t.Errorf("%d biases were checked; lm_head changed by %v", checked, far(before["lm_head.weight"], whole["lm_head.weight"]))
	}
}

// TestExpertsChoose checks a layer whose experts choose tokens, and its
// gradients, against PyTorch.
func TestExpertsChoose(t *testing.T) {
	const doc = `package p
import ("pipe.dev/layers", "pipe.dev/schema/op", "pipe.dev/schema/train")
_m: op.#Model & {
	nodes: {
		x: op.#Input & {shape: ["batch", "seq", 6]}
		moe: layers.#ChoosingExperts & {"x": x.out, n: 4, factor: 1.5, width: 6, hidden: 5, act: "silu", names: {gate: "w1", up: "w3", down: "w2"}}
	}
	out: nodes.moe.out
}
r: train.#Recipe & {
	name: "r", model: graph: _m
	data: train: [{files: ["x.csv"], format: "columns", columns: {x: ["x"], targets: ["t"]}}]
	batch: batch: 2, objective: {name: "mse", inputs: targets: 0}, train: steps: 1
}
`
	path := filepath.Join(t.TempDir(), "r.cue")
	if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := schema.Load(path, schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fixtureOf(t, "router/experts.safetensors")
	p := losing(t, d.Recipe.Model, Accumulate, nil, map[string]int{"batch": 2, "seq": 9},
		lossTerm(t, "mse", 1, "", nil, map[string]train.Source{"targets": {Batch: "targets"}}))
	states := zeroed(map[string][]float64{"moe.gate.weight": f["gate"].Float64s(), "moe.experts.{e}.w1.weight": f["w1"].Float64s(),
		"moe.experts.{e}.w2.weight": f["w2"].Float64s(), "moe.experts.{e}.w3.weight": f["w3"].Float64s()}, p.graph)
	out := p.run(states, map[string][]float64{"x": f["x"].Float64s(), "targets": f["targets"].Float64s()})
	n := out["count"][0]
	if x := out["loss"][0] / n; !(math.Abs(x-f["loss"].Float64s()[0]) <= 1e-12) {
		t.Errorf("loss is %v, want %v", x, f["loss"].Float64s()[0])
	}
	for path, name := range map[string]string{"moe.gate.weight": "d.gate", "moe.experts.{e}.w1.weight": "d.w1", "moe.experts.{e}.w2.weight": "d.w2", "moe.experts.{e}.w3.weight": "d.w3"} {
		grad := states[path+"#grad"]
		for i := range grad {
			grad[i] /= n
		}
		if d := far(grad, f[name].Float64s()); !(d <= 1e-12) {
			t.Errorf("gradient of %s is off by %v", path, d)
		}
	}
}

// TestCapacity checks which choices find room against one_hot and cumsum, and
// that programs that do not learn know no capacity.
func TestCapacity(t *testing.T) {
	f := fixtureOf(t, "router/experts.safetensors")
	table, o := newContext(t)
	b := op.NewBuilder(table)
	chosen := b.Graph.AddInput("chosen", f["chosen"].Type, ir.Pos{})
	kept := b.Apply("within_capacity", op.WithinCapacityAttr{Experts: 4, Factor: 1}, chosen)[0]
	b.Graph.Outputs = []ir.Output{{Name: "kept", Value: kept}}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	for phase, want := range map[Phase]string{Step: "kept", Evaluate: "chosen", "": "chosen"} {
		if o.Training = nil; phase != "" {
			o.Training = training(t, phase)
		}
		g, err := dropout(&context{table: table, opt: &o}, b.Graph)
		if err != nil {
			t.Fatal(err)
		}
		got, err := op.Eval(table, g, map[string][]float64{"chosen": f["chosen"].Float64s()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if far(got["kept"], f[want].Float64s()) != 0 {
			t.Errorf("in phase %q choices become %v, want %s", phase, got["kept"], want)
		}
	}
}

// A pattern that matches nothing, or values that do not lie beside each other,
// is an error of the line that has it.
func TestTokenPatterns(t *testing.T) {
	m, err := schema.LoadModel("../testdata/golden/arch/mixtral")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"*.gate.logit":       `"*.gate.logit" matches no node (did you mean logits?)`,
		"*.self_attn.*_proj": "matches values of different shapes",
	} {
		table, o := newContext(t)
		o.Training = training(t, Step)
		o.Training.Losses = []train.Term{lossTerm(t, "router_z", 1, pattern, nil, nil)}
		if _, err = elaborate(&context{table: table, opt: &o}, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", pattern, err, want)
		}
	}
}
