package compiler

import (
	"math"
	"path/filepath"
	"slices"
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

// TestMuLaw holds classes of samples, and what they stand for, against torchaudio.
func TestMuLaw(t *testing.T) {
	t.Parallel()
	table, o := newContext(t)
	m, err := schema.LoadModel(filepath.Join(sound, "classes"))
	if err != nil {
		t.Fatal(err)
	}
	o.Entry = Entry{Name: "forward"}
	g, err := elaborate(&context{table: table, opt: &o}, m)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{}
	tensors, err := tensorfile.Read(filepath.Join(sound, "classes", "values.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		want[x.Name] = x.Float64s()
	}
	if g, err = bind(nil, g, map[string]int{"batch": 1, "samples": len(want["x"])}); err != nil {
		t.Fatal(err)
	}
	got, err := op.Eval(table, g, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	got["ids"] = got["out"]
	for _, name := range []string{"ids", "coarse", "heard", "heard_coarse"} {
		if d := farthest(got[name], want[name]); !(d <= 1e-12) {
			t.Errorf("%s: %d values, want %d; they differ by %v", name, len(got[name]), len(want[name]), d)
		}
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

// TestSpecAugment: what learns hears spectrograms with a band and a stretch of each row
// hidden, of all widths up to the greatest, anew for each batch; all else hears everything.
func TestSpecAugment(t *testing.T) {
	t.Parallel()
	const rows, mels, frames, band, stretch = 40, 9, 14, 3, 5
	table, o := newContext(t)
	m, err := schema.LoadModel(filepath.Join(sound, "hidden"))
	if err != nil {
		t.Fatal(err)
	}
	o.Entry = Entry{Name: "forward"}
	c := &context{table: table, opt: &o}
	g, err := elaborate(c, m)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, rows*mels*frames)
	for i := range x {
		x[i] = float64(i%(mels*frames)) + 0.25
	}
	mean := (float64(mels*frames)-1)/2 + 0.25 // no element is that
	hear := func(g *ir.Graph, counter float64) []float64 {
		g, err := bind(nil, g, map[string]int{"batch": rows})
		if err != nil {
			t.Fatal(err)
		}
		got, err := op.Eval(table, g, map[string][]float64{"x": x, "counter": {counter}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got["out"]
	}
	o.Training = &Training{Phase: Step, Seed: 3}
	learns, err := dropout(c, g)
	if err != nil {
		t.Fatal(err)
	}
	widths := [2]map[int]int{{}, {}} // of bands and stretches, and how often
	for counter := range 4 {
		y := hear(learns, float64(counter))
		for r := range rows {
			one := y[r*mels*frames:][:mels*frames]
			hidden := func(m, f int) bool { return math.Abs(one[m*frames+f]-mean) < 1e-9 }
			var bands, stretches []int
			for m := range mels {
				if all(frames, func(f int) bool { return hidden(m, f) }) {
					bands = append(bands, m)
				}
			}
			for f := range frames {
				if all(mels, func(m int) bool { return hidden(m, f) }) {
					stretches = append(stretches, f)
				}
			}
			for i := range one {
				m, f := i/frames, i%frames
				if in := slices.Contains(bands, m) || slices.Contains(stretches, f); in != hidden(m, f) || !in && one[i] != x[i] {
					t.Fatalf("batch %d, row %d: element %d, %d is %v", counter, r, m, f, one[i])
				}
			}
			for k, list := range [][]int{bands, stretches} {
				widths[k][len(list)]++
				if n := len(list); n > 1 && list[n-1]-list[0] != n-1 {
					t.Errorf("what is hidden is no span: %v", list)
				}
			}
		}
	}
	for k, most := range []int{band, stretch} {
		if len(widths[k]) != most+1 {
			t.Errorf("widths %v, want 0 to %d", widths[k], most)
		}
		for w, n := range widths[k] {
			if share := float64(n) * float64(most+1) / (4 * rows); w > most || share < 0.5 || share > 1.6 {
				t.Errorf("width %d is there %d times of %d", w, n, 4*rows)
			}
		}
	}
	o.Training = nil
	if g, err = dropout(c, g); err != nil || farthest(hear(g, 0), x) != 0 {
		t.Errorf("a model that does not learn hears something else: %v", err)
	}
}

func all(n int, f func(i int) bool) bool {
	for i := range n {
		if !f(i) {
			return false
		}
	}
	return true
}
