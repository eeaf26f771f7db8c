package train_test

import (
	"math"
	"path/filepath"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels/kerneltest"
	"pipe.dev/schema"
)

const model = "../../testdata/golden/arch/llama"

// elaborated is the graph of the model for known sizes, before any pass.
func elaborated(t *testing.T, table *op.Table, sizes map[string]int) *ir.Graph {
	t.Helper()
	m, err := schema.LoadModel(model)
	if err != nil {
		t.Fatal(err)
	}
	var first *ir.Graph
	_, err = compiler.Compile(m, table, compiler.Options{
		Entry: compiler.Entry{Name: "forward"}, Target: kerneltest.Reference(),
		Trace: func(pass string, g *ir.Graph) {
			if pass == "elaborate" {
				first = g
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return bound(t, table, first, sizes)
}

// bound is g with numbers for its named sizes.
func bound(t *testing.T, table *op.Table, g *ir.Graph, sizes map[string]int) *ir.Graph {
	t.Helper()
	b, at := op.NewBuilder(table), map[ir.Value]ir.Value{}
	for _, n := range g.Nodes {
		if n.Op == ir.OpInput {
			at[ir.Value{Node: n}] = b.Graph.AddInput(n.InputName(), n.Types[0].Bind(sizes), n.Pos)
			continue
		}
		if n.Op == ir.OpState {
			s := b.Graph.AddState(ir.State{Path: n.Attr.(ir.StateAttr).Path}, n.Types[0])
			at[ir.Value{Node: n}] = s.Read
			continue
		}
		in := make([]ir.Value, len(n.In))
		for i, v := range n.In {
			in[i] = at[v]
		}
		out := b.Apply(n.Op, op.Bind(n.Attr, sizes), in...)
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		for i, v := range out {
			at[ir.Value{Node: n, Out: i}] = v
		}
	}
	for _, o := range g.Outputs {
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: o.Name, Value: at[o.Value]})
	}
	return b.Graph
}

// The gradients of a whole model (embedding, norms, rotary attention, gated
// MLP, residuals, cross-entropy) are those of PyTorch's autograd.
func TestModelGradients(t *testing.T) {
	f := readFixture(t, filepath.Join(golden, "llama_grads.safetensors"))
	ids := firstRow(t)
	n := len(ids)

	table := newOps(t)
	g := elaborated(t, table, map[string]int{"batch": 1, "seq": n})
	fused := op.NewBuilder(table)
	fused.Graph = g
	objectives := newObjectives(t)
	o, _ := objectives.Lookup("cross_entropy")
	sum, count := o.Loss(fused, train.Loss{Attr: attributes(t, &o.Def, nil), Y: g.Outputs[0].Value,
		In: map[string]ir.Value{"targets": fused.Graph.AddInput("targets", ir.T(ir.I32, 1, n), ir.Pos{})}})
	g.Outputs = nil
	b := op.NewBuilder(table)
	at := b.Lowered(g, ownGradient(table))
	if fused.Err() != nil || b.Err() != nil {
		t.Fatal(fused.Err(), b.Err())
	}
	mean := b.Div(at[sum], at[count])
	var weights []ir.Value
	for _, s := range b.Graph.States {
		weights = append(weights, s.Read)
	}
	b.Graph.Outputs = []ir.Output{{Name: "loss", Value: mean}}
	for i, d := range b.Grad(mean, b.Scalar(1, mean), weights...) {
		if !d.Valid() {
			t.Fatalf("%s has no gradient", b.Graph.States[i].Path)
		}
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: b.Graph.States[i].Path, Value: d})
	}
	if b.Err() != nil {
		t.Fatal(b.Err())
	}

	// the last position has no next token
	targets := append(append([]float64(nil), ids[1:]...), -100)
	got, err := op.Eval(table, b.Graph, map[string][]float64{"ids": ids, "targets": targets}, weightsOf(t))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", got["loss"], f.values["loss"], 1e-8)
	if len(f.Norms) != len(weights) || len(f.values) < 8 {
		t.Fatalf("%d norms and %d tensors for %d weights", len(f.Norms), len(f.values), len(weights))
	}
	for path, want := range f.Norms {
		if norm := length(got[path]); math.Abs(norm-want) > 1e-8*want {
			t.Errorf("gradient of %s has norm %v, want %v", path, norm, want)
		}
	}
	worst := 0.0
	for path, want := range f.values {
		diff, size := make([]float64, len(want)), length(want)
		if len(got[path]) != len(want) {
			t.Fatalf("%s has %d elements, want %d", path, len(got[path]), len(want))
		}
		for i := range want {
			diff[i] = got[path][i] - want[i]
		}
		worst = math.Max(worst, length(diff)/size)
		if !(length(diff) <= 1e-8*size) {
			t.Errorf("gradient of %s is off by %v of its norm %v", path, length(diff), size)
		}
	}
	t.Logf("loss %v; gradients differ by at most %.1e of their norm", got["loss"][0], worst)
}

func length(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func weightsOf(t *testing.T) map[string][]float64 {
	t.Helper()
	tensors, err := tensorfile.Read(filepath.Join(model, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, x := range tensors {
		out[x.Name] = x.Float64s()
	}
	return out
}
