package main

import (
	"math"
	"path/filepath"
	"testing"

	"pipe.dev/executor/tensorfile/tensortest"
)

// TestAccumulate checks that four micro-batches, whose numbers of tokens differ,
// make the steps that one batch of all their rows makes: the weights in the end
// differ by rounding alone. Documents are lines, so that a mean of the means of
// micro-batches would be another number.
func TestAccumulate(t *testing.T) {
	t.Parallel()
	change := []string{`order: "random", rows: "window"`, `order: "file", rows: "pad"`, "validation: 0.1", `document: "line"`,
		"eval: {every: 30, batches: 4}", "", `{name: "adamw", lr: 3e-3}`, `{name: "sgd", lr: 0.1}`, `{name: "cosine", warmup_steps: 5}`, `{name: "constant"}`}
	steps := func(steps, batch, accumulate string) map[string][]float64 {
		r := train(t, tinyRecipe(t, append(append([]string{}, change...), "batch: 4", "batch: "+batch, "steps: 60", "steps: "+steps+", accumulate: "+accumulate)...), t.TempDir())
		out := map[string][]float64{}
		for name, x := range tensortest.Read(t, filepath.Join(r.Model, "model.safetensors")) {
			out[name] = x.Float64s()
		}
		return out
	}
	before, whole, parts := steps("1", "12", "1"), steps("12", "12", "1"), steps("12", "3", "4")
	if len(whole) != 20 || len(parts) != len(whole) {
		t.Fatalf("%d and %d weights, want 20", len(whole), len(parts))
	}
	for name, w := range whole {
		var off, moved, size float64
		for i := range w {
			off = math.Max(off, math.Abs(w[i]-parts[name][i]))
			moved = math.Max(moved, math.Abs(w[i]-before[name][i]))
			size = math.Max(size, math.Abs(w[i]))
		}
		if off > 1e-6*size || moved < 100*off {
			t.Errorf("%s: differs by %.3g of %.3g, and moved by %.3g", name, off, size, moved)
		}
	}
}
