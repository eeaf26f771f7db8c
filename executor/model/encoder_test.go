package model

import (
	"context"
	"path/filepath"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/measured"
)

// Encoders give the vectors of the last layer that transformers gives in float64.
func TestEncoders(t *testing.T) {
	list, err := filepath.Glob("../../testdata/golden/encoder/*")
	if err != nil || len(list) < 4 {
		t.Fatalf("%d encoders, %v", len(list), err)
	}
	for _, dir := range list {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := expected(t, dir)
			d := worst(encode(t, dir, want["ids"]), want["hidden"].Float64s())
			if !(d < 2e-5) {
				t.Errorf("hidden states differ by %.2g", d)
			}
			measured.Note(t, golden, "forward", filepath.Base(dir), d)
		})
	}
}

// encode runs an encoder over ids.
func encode(t *testing.T, dir string, ids tensorfile.Tensor) []float64 {
	t.Helper()
	m, _ := open(t, dir, 2, "")
	sizes := ids.Type.Sizes()
	p, err := m.Forward(sizes[0], sizes[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	return outs[0].Float64s()
}
