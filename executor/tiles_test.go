package executor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/schema"
)

const tileValues = "../testdata/golden/tiles/values.npz"

// TestTiles holds pictures that are computed in tiles against diffusers
// (testdata/golden/tiles.py), and rows of a batch one by one against all together.
func TestTiles(t *testing.T) {
	o := options(t)
	values := tensortest.Read(t, tileValues)
	for _, c := range []struct{ model, input, output, blend string }{
		{"autoencoder_kl", "latents_in", "image", "fade"},
		{"autoencoder_kl", "sample", "mean", "fade"},
		{"autoencoder_tiny", "latents_in", "image", "over"},
		{"autoencoder_tiny", "sample", "latents", "over"},
	} {
		name := c.model + " " + c.output
		got := runParts(t, o, c.model, c.input, c.output, c.blend)
		want, size, worst := values[c.model+"."+c.output].Float64s(), 0.0, 0.0
		for i, v := range want {
			size, worst = max(size, math.Abs(v)), max(worst, math.Abs(v-got["tiled"][i]))
		}
		t.Logf("%s: worst error %.2g of %.2g", name, worst, size)
		if !(worst <= 1e-5*size) || len(got["tiled"]) != len(want) {
			t.Errorf("%s: worst error %g of %g", name, worst, size)
		}
		if slices.Equal(got["whole"], got["tiled"]) {
			t.Errorf("%s: tiles make no difference", name)
		}
		for same, as := range map[string]string{"tiled_rows": "tiled", "rows": "whole", "large": "whole"} {
			if !slices.Equal(got[same], got[as]) {
				t.Errorf("%s: %s differs from %s", name, same, as)
			}
		}
	}
}

// runParts calls a tiny autoencoder on an input of the fixture, in several ways.
func runParts(t *testing.T, o Options, model, input, output, blend string) map[string][]float64 {
	t.Helper()
	nodes, outputs := "", ""
	for name, fields := range map[string]string{"tiled": "tile: 8", "tiled_rows": "tile: 8, at_once: 1", "whole": "tile: 0", "rows": "at_once: 1", "large": "tile: 11"} {
		nodes += fmt.Sprintf("%s: pipeline.#Run & {model: models.m.out, with: %s: inputs[%q].out, outputs: [%q], blend: %q, %s}\n", name, input, model+"."+input, output, blend, fields)
		outputs += fmt.Sprintf("%s: {from: nodes.%s.out, type: \"tensors\"}\n", name, name)
	}
	doc := load(t, fmt.Sprintf(`package p
import "pipe.dev/schema/pipeline"
part: pipeline.#Pipeline & {
	name: "part"
	inputs: %q: {type: "tensor", value: %q}
	models: m: from: "../testdata/golden/pictures/%s/model"
	nodes: {%s}
	outputs: {%s}
}
`, model+"."+input, tileValues, model, nodes, outputs))
	p, err := Prepare(doc.Pipeline, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got := map[string][]float64{}
	err = p.Run(context.Background(), func(out schema.Output, v stage.Value) error {
		got[out.Name] = v.([]tensorfile.Tensor)[0].Float64s()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
