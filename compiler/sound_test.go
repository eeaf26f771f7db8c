package compiler

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

const sound = "../testdata/golden/sound"

// heard elaborates a model of testdata/golden/sound for one signal, and reads the values that belong to it.
func heard(t *testing.T, model, values string) (*op.Table, *ir.Graph, map[string][]float64) {
	t.Helper()
	table, o := newContext(t)
	m, err := schema.LoadModel(filepath.Join(sound, model))
	if err != nil {
		t.Fatal(err)
	}
	o.Entry = Entry{Name: "forward"}
	g, err := elaborate(&context{table: table, opt: &o}, m)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = bind(nil, g, map[string]int{"batch": 1}); err != nil {
		t.Fatal(err)
	}
	tensors, err := tensorfile.Read(filepath.Join(sound, values))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{}
	for _, x := range tensors {
		want[x.Name] = x.Float64s()
	}
	return table, g, want
}

// TestGriffinLim holds the signal that is made of magnitudes against librosa's.
func TestGriffinLim(t *testing.T) {
	t.Parallel()
	table, g, want := heard(t, "phases", "../audio/stretch/values.npz")
	got, err := op.Eval(table, g, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := farthest(got["out"], want["griffin_lim"]); d > 1e-6 {
		t.Errorf("%d samples, want %d; they differ by %v", len(got["out"]), len(want["griffin_lim"]), d)
	}
}

// TestSound holds features of sound against librosa, torchaudio, transformers and
// torch, and their gradients against torch.
func TestSound(t *testing.T) {
	t.Parallel()
	table, g, want := heard(t, "features", "features.npz")
	b := op.NewBuilder(table)
	made := b.Include(g, func(*ir.Node) bool { return false }, nil)
	var x ir.Value
	for _, n := range b.Graph.Nodes {
		if n.Op == ir.OpInput {
			x = ir.Value{Node: n}
		}
	}
	var outs []ir.Output
	for _, out := range g.Outputs {
		y := made[out.Value]
		outs = append(outs, ir.Output{Name: out.Name, Value: y})
		if _, ok := want[out.Name+".probe"]; ok {
			dy := b.Graph.AddInput(out.Name+".probe", y.Type(), ir.Pos{})
			outs = append(outs, ir.Output{Name: out.Name + ".grad", Value: b.Grad(y, dy, x)[0]})
		}
	}
	if b.Graph.Outputs = outs; b.Err() != nil {
		t.Fatal(b.Err())
	}
	got, err := op.Eval(table, b.Graph, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 16+6 {
		t.Fatalf("%d outputs", len(got))
	}
	delete(got, "out")
	for name, y := range got {
		scale := 1.0
		for _, v := range want[name] {
			scale = max(scale, math.Abs(v))
		}
		d := farthest(y, want[name])
		if !(d <= 1e-6*scale) || strings.HasSuffix(name, ".grad") && scale == 1 {
			t.Errorf("%s differs by %v, of %v", name, d, scale)
		}
	}
}

// farthest is the greatest difference; of lists of several lengths, infinite.
func farthest(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}
