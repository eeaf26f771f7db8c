package model

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// TestPictures holds models of pictures against diffusers, and text encoders
// against transformers (testdata/golden/pictures.py). Each output is asked for
// alone, so that a model computes only what belongs to it.
func TestPictures(t *testing.T) {
	list, err := filepath.Glob("../../testdata/golden/pictures/*/values.safetensors")
	if err != nil || len(list) == 0 {
		t.Fatalf("no models in testdata/golden/pictures: %v", err)
	}
	for _, file := range list {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) { comparePictures(t, file) })
	}
}

func comparePictures(t *testing.T, file string) {
	const tol = 1e-4
	values, err := tensorfile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]tensorfile.Tensor{}
	for _, v := range values {
		if name, ok := strings.CutPrefix(v.Name, "in."); ok {
			inputs[name] = v
		}
	}
	for _, want := range values {
		name, ok := strings.CutPrefix(want.Name, "out.")
		if !ok {
			continue
		}
		m, _ := open(t, filepath.Join(filepath.Dir(file), "model"), 2, "")
		wants, err := m.Inputs()
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Call(namedSizes(wants, inputs), []string{name}, nil)
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
		if len(got) != 1 || got[0].Name != name || !slices.Equal(got[0].Type.Sizes(), want.Type.Sizes()) {
			t.Fatalf("%s: gives %d outputs, the first %s %v; want %v", name, len(got), got[0].Name, got[0].Type, want.Type)
		}
		worst, size := 0.0, 0.0
		have := got[0].Float64s()
		for i, w := range want.Float64s() {
			worst, size = max(worst, math.Abs(have[i]-w)), max(size, math.Abs(w))
		}
		if !(worst <= tol*size) {
			t.Errorf("%s: worst error %g of %g", name, worst, size)
		}
	}
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
