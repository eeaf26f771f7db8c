package train_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// Norms, clipping and averages are PyTorch's.
func TestHelpersGolden(t *testing.T) {
	f := readFixture(t, filepath.Join(golden, "helpers.safetensors"))
	b := op.NewBuilder(newOps(t))
	var grads []ir.Value
	for i := 0; ; i++ {
		name := fmt.Sprintf("g.%d", i)
		ty, ok := f.types[name]
		if !ok {
			break
		}
		grads = append(grads, b.Graph.AddInput(name, ty, ir.Pos{}))
	}
	at := map[string]ir.Value{}
	for label, limit := range map[string]float64{"small": 1.5, "large": 100} {
		clipped, norm := train.ClipByNorm(b, grads, limit)
		at["norm"] = norm
		for i, v := range clipped {
			at[fmt.Sprintf("norm.%s.%d", label, i)] = v
		}
		for i, v := range train.ClipByValue(b, grads, limit/3) {
			at[fmt.Sprintf("value.%s.%d", label, i)] = v
		}
	}
	w := b.Add(b.Mul(grads[0], b.Scalar(2, grads[0])), b.Scalar(1, grads[0]))
	at["ema"] = train.EMA(b, grads[0], w, b.Scalar(0.95, w))
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := op.Values(b.Table, b.Graph, f.values, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(at) != 2*2*len(grads)+2 || len(grads) != 4 {
		t.Fatalf("%d results of %d gradients", len(at), len(grads))
	}
	for name, v := range at {
		near(t, name, got[v], f.values[name], 1e-12)
	}
}

// Narrow gradients are clipped in f32 and keep their type; none are an error.
func TestClipTypes(t *testing.T) {
	b := op.NewBuilder(newOps(t))
	g := []ir.Value{b.Graph.AddInput("a", ir.T(ir.BF16, 3), ir.Pos{}), b.Graph.AddInput("b", ir.T(ir.F32, 2), ir.Pos{})}
	out, norm := train.ClipByNorm(b, g, 1)
	if b.Err() != nil || !norm.Type().Equal(ir.T(ir.F32)) || !out[0].Type().Equal(ir.T(ir.BF16, 3)) || !out[1].Type().Equal(ir.T(ir.F32, 2)) {
		t.Errorf("norm %v, clipped %v and %v, error %v", norm.Type(), out[0].Type(), out[1].Type(), b.Err())
	}
	avg := train.EMA(b, g[1], b.Graph.AddInput("w", ir.T(ir.BF16, 2), ir.Pos{}), b.Scalar(0.9, g[1]))
	if b.Err() != nil || !avg.Type().Equal(ir.T(ir.F32, 2)) {
		t.Errorf("average %v, error %v", avg.Type(), b.Err())
	}
	if train.GlobalNorm(b, nil); b.Err() == nil {
		t.Error("a norm of nothing is no error")
	}
}

func TestDecays(t *testing.T) {
	matrix, vector := []ir.Dim{ir.D(2), ir.D(3)}, []ir.Dim{ir.D(2)}
	rules := []train.Rule{{Pattern: "*embed*", Decay: false}, {Pattern: "*.norm.weight", Decay: true}, {Pattern: "q_proj.bias", Decay: true}}
	for _, c := range []struct {
		path  string
		shape []ir.Dim
		rules []train.Rule
		want  bool
	}{
		{"model.layers.0.q_proj.weight", matrix, nil, true},
		{"model.layers.0.q_proj.bias", vector, nil, false},
		{"model.embed_tokens.weight", matrix, nil, true},
		{"model.embed_tokens.weight", matrix, rules, false},
		{"model.norm.weight", vector, rules, true},
		{"model.layers.0.q_proj.bias", vector, rules, true},
		{"model.layers.0.k_proj.bias", vector, rules, false},
	} {
		if got := train.Decays(c.path, c.shape, c.rules); got != c.want {
			t.Errorf("%s with %v: %v, want %v", c.path, c.rules, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"a.b", "a.b", true}, {"b", "a.b", true}, {"b", "a.bb", false}, {"b", "ab", false}, {"a", "a.b", false},
		{"a*", "a.b", true}, {"*b*", "a.b.c", true}, {"*", "", true}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"layers.*.weight", "model.layers.0.up.weight", true}, {"layers.*.weight", "model.layers.0.up.bias", false},
		{"*x*x*", "axbx", true}, {"*x*x*", "axb", false},
	} {
		if got := train.Match(c.pattern, c.path); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.path, got)
		}
	}
}
