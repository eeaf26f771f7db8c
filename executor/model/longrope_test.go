package model

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/sampler"
	"pipe.dev/executor/tensorfile/tensortest"
)

// Beyond the length that it was trained on, a model with LongRoPE gives what
// transformers gives, token by token with a cache.
func TestLongRope(t *testing.T) {
	ctx := context.Background()
	want := tensortest.Read(t, golden+"/longrope.safetensors")
	ids, err := want["ids"].Int32s()
	if err != nil {
		t.Fatal(err)
	}
	logits := want["logits"].Float64s()
	m, _ := open(t, filepath.Join(golden, "arch", "phi3_long"), 2, "")
	generator(t, m, 1, 8)
	g, err := m.Generator()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.New(g.Vocab(), sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	steps := len(logits) / g.Vocab()
	made := slices.Clone(ids[:len(ids)-steps])
	if err := g.Start(ctx, made, steps); err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		got := make([]float64, g.Vocab())
		for j, x := range g.Logits() {
			got[j] = float64(x)
		}
		if d := worst(got, logits[i*g.Vocab():][:g.Vocab()]); !(d < 1e-4) {
			t.Errorf("logits of token %d differ by %.2g", i, d)
		}
		id, err := g.Next(s)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
		if err := g.Push(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(made, ids) || steps < 20 {
		t.Errorf("got %v, want %v", made, ids)
	}
}
