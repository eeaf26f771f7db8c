package model

import (
	"context"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/measured"
)

// TestPictures holds models of pictures against diffusers and transformers
// (testdata/golden/pictures.py). Each output is asked for alone, so that a model
// computes only what belongs to it; many are asked for together.
func TestPictures(t *testing.T) { compareModels(t, "pictures") }

// TestSpeech holds models of speech against transformers, and against code of their
// authors where it lacks them (testdata/golden/speech.py).
func TestSpeech(t *testing.T) { compareModels(t, "speech") }

// compareModels holds the models in a folder of testdata/golden against their values.
func compareModels(t *testing.T, kind string) {
	list, err := filepath.Glob(filepath.Join(golden, kind, "*", "values*.safetensors"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no models in testdata/golden/%s: %v", kind, err)
	}
	for _, file := range list {
		name := filepath.Base(filepath.Dir(file)) + strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".safetensors"), "values")
		t.Run(name, func(t *testing.T) { compareModel(t, kind, name, file) })
	}
}

func compareModel(t *testing.T, kind, fixture, file string) {
	const tol = 1e-4
	values, err := tensorfile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	inputs, wanted := map[string]tensorfile.Tensor{}, map[string]tensorfile.Tensor{}
	for _, v := range values {
		if name, ok := strings.CutPrefix(v.Name, "in."); ok {
			inputs[name] = v
		}
		if name, ok := strings.CutPrefix(v.Name, "out."); ok {
			wanted[name] = v
		}
	}
	names := slices.Sorted(maps.Keys(wanted))
	together := 1
	if len(names) > 3 {
		together = len(names)
	}
	most := 0.0
	for only := range slices.Chunk(names, together) {
		got := callModel(t, filepath.Join(filepath.Dir(file), "model"), inputs, only)
		if len(got) != len(only) {
			t.Fatalf("%v: gives %d outputs", only, len(got))
		}
		for _, have := range got {
			want, ok := wanted[have.Name]
			if !ok || !slices.Equal(have.Type.Sizes(), want.Type.Sizes()) {
				t.Fatalf("%v: gives %s %v; want %v", only, have.Name, have.Type, want.Type)
			}
			worst, size := 0.0, 0.0
			values := have.Float64s()
			for i, w := range want.Float64s() {
				worst, size = max(worst, math.Abs(values[i]-w)), max(size, math.Abs(w))
			}
			if !(worst <= tol*size) || size == 0 {
				t.Errorf("%s: worst error %g of %g", have.Name, worst, size)
			}
			most = max(most, worst/max(size, 1e-30))
		}
	}
	measured.Note(t, golden, kind, fixture, most)
}

// callModel opens a model, and gives some of its outputs.
func callModel(t *testing.T, dir string, inputs map[string]tensorfile.Tensor, only []string) []tensorfile.Tensor {
	m, _ := open(t, dir, 2, "")
	return callOpened(t, m, inputs, only)
}

// callOpened is callModel for one that is open.
func callOpened(t *testing.T, m *Model, inputs map[string]tensorfile.Tensor, only []string) []tensorfile.Tensor {
	t.Helper()
	wants, err := m.Inputs()
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Call(namedSizes(wants, inputs), only, nil, slices.Collect(maps.Keys(inputs))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	used := map[string]tensorfile.Tensor{}
	for _, in := range Inputs(p) {
		used[in] = inputs[in]
	}
	got, err := m.Run(context.Background(), p, used)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// namedSizes are the sizes that inputs give to names.
func namedSizes(wants map[string]ir.Type, inputs map[string]tensorfile.Tensor) map[string]int {
	sizes := map[string]int{}
	for name, want := range wants {
		for i, d := range want.Shape {
			if in, ok := inputs[name]; ok && !d.Known() {
				sizes[d.Syms] = in.Type.Sizes()[i] / d.N
			}
		}
	}
	return sizes
}

// TestPicturesTooLarge says at which line a picture has more patches than the model knows.
func TestPicturesTooLarge(t *testing.T) {
	m, _ := open(t, filepath.Join(golden, "pictures", "sd3", "model"), 2, "")
	sizes := map[string]int{"batch": 1, "height": 2, "width": 9, "tokens": 1}
	p, err := m.Call(sizes, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]tensorfile.Tensor{}
	for _, in := range p.Inputs {
		n := in.Place.Type.Sizes()
		inputs[in.Name] = tensorfile.FromFloat32s(in.Name, make([]float32, in.Place.Type.Elems()), n...)
	}
	_, err = m.Run(context.Background(), p, inputs)
	if err == nil || !strings.Contains(err.Error(), "layers/vision.cue:") || !strings.Contains(err.Error(), "want 0 to 7") {
		t.Errorf("nine columns of a table of eight: %v", err)
	}
}
