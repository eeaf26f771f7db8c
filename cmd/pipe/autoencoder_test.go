package main

import (
	"bytes"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/journal"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/schema"
)

// blobs writes n pictures [1, 28, 28] of a spot each, from -1 to 1.
func blobs(t *testing.T, n int) string {
	t.Helper()
	var x []float64
	for i := range n {
		for p := range 28 * 28 {
			dx, dy := float64(p%28-6-i%16), float64(p/28-6-i/2%16)
			x = append(x, 2*math.Exp(-(dx*dx+dy*dy)/16)-1)
		}
	}
	file := filepath.Join(t.TempDir(), "blobs.safetensors")
	err := checkpoint.Replace(file, func(w io.Writer) error {
		return checkpoint.Encode(w, []checkpoint.Data{{Name: "x", Type: ir.T(ir.F32, n, 1, 28, 28), Bytes: tensorfile.AppendFloats(nil, ir.F32, x...)}}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestQuantizerRecipe checks that an autoencoder with a table of codes learns, that
// the table follows its points with the same bits for any number of threads, and
// that its use is measured.
func TestQuantizerRecipe(t *testing.T) {
	t.Parallel()
	file := blobs(t, 48)
	args := []string{"--set", `data.train=[{files: ["` + file + `"], format: "columns", columns: sample: ["x"], validation: 0.34}]`, "--set", "data.eval=[]",
		"--set", "batch.batch=16", "--set", "train.steps=25", "--set", "train.log_every=1", "--set", "eval.every=0"}
	a := train(t, "../../recipes/vq-mnist.cue", t.TempDir(), append(args, "--threads", "1")...)
	b := train(t, "../../recipes/vq-mnist.cue", t.TempDir(), append(args, "--threads", "3")...)
	if !bytes.Equal(weightsOf(t, a.Run), weightsOf(t, b.Run)) {
		t.Error("one thread and three give different weights")
	}
	rows, err := journal.ReadMetrics(a.Run)
	if err != nil || len(rows) != 25 {
		t.Fatal(err, len(rows))
	}
	first, last := rows[0].Values, rows[24].Values
	if !(last["loss/all/mse"] < 0.6*first["loss/all/mse"]) || !(last["loss/all/perplexity"] > 2) || !(last["eval/all/perplexity"] > 2) {
		t.Errorf("after the first step %v, in the end %v", first, last)
	}
	size := tensortest.Read(t, filepath.Join(a.Run, "model", "model.safetensors"))["quantize.codebook.cluster_size"].Float64s()
	all := 0.0
	for _, n := range size {
		all += n
	}
	if len(size) != 64 || !(all > 100) { // of 16 * 49 points; the average began at 64
		t.Errorf("%d vectors stand for %v points", len(size), all)
	}
}

// TestAutoencoderRecipe checks that an autoencoder and the critic that joins it take
// turns, and that the finished run leaves the autoencoder as a folder of its own, with
// the names and the configuration that diffusers has.
func TestAutoencoderRecipe(t *testing.T) {
	t.Parallel()
	file := blobs(t, 24)
	r := train(t, "../../recipes/vae-mnist.cue", t.TempDir(), "--set", `data.train=[{files: ["`+file+`"], format: "columns", columns: sample: ["x"]}]`, "--set", "data.eval=[]",
		"--set", "batch.batch=4", "--set", "train.steps=10", "--set", "train.log_every=1", "--set", "eval.every=0", "--set", "schedule.warmup_steps=0",
		"--set", "phases.0.losses.2.from=8", "--set", "phases.1.from=6")
	rows, err := journal.ReadMetrics(r.Run)
	if err != nil || len(rows) != 10 {
		t.Fatal(err, len(rows))
	}
	for i, row := range rows {
		if _, ok := row.Values["loss/critic"]; ok != (i >= 6) {
			t.Errorf("step %d: the critic has a turn: %v", i+1, ok)
		}
	}
	first, last := rows[0].Values, rows[9].Values
	if !(last["loss/autoencoder/l1"] < 0.6*first["loss/autoencoder/l1"]) || !(last["train/autoencoder/fooled/factor"] > 0) {
		t.Errorf("after the first step %v, in the end %v", first, last)
	}
	text, err := os.ReadFile(filepath.Join(r.Run, "model", "vae", "config.json"))
	if err != nil || !bytes.Contains(text, []byte(`"AutoencoderKL"`)) {
		t.Error(err, string(text))
	}
	out, err := filepath.Glob(filepath.Join(r.Run, "model", "*"))
	if err != nil || len(out) != 1 {
		t.Errorf("the run leaves %v (%v)", out, err)
	}
	if w := tensortest.Read(t, filepath.Join(r.Run, "model", "vae", "diffusion_pytorch_model.safetensors")); w["decoder.mid_block.attentions.0.to_q.weight"].Data == nil {
		t.Errorf("its weights have the names %v", slices.Sorted(maps.Keys(w)))
	}
	if _, err := schema.LoadModel(filepath.Join(r.Run, "model", "vae")); err != nil {
		t.Error(err)
	}
}

// TestLaterLosses checks that phases and losses begin when the document says, and
// what is told of documents where none does.
func TestLaterLosses(t *testing.T) {
	inRoot(t)
	text, err := os.ReadFile("recipes/gan.cue")
	if err != nil {
		t.Fatal(err)
	}
	changed := func(pairs ...string) string {
		out := string(text)
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(out, pairs[i]) {
				t.Fatalf("the recipe has no %s", pairs[i])
			}
			out = strings.Replace(out, pairs[i], pairs[i+1], 1)
		}
		file := filepath.Join(t.TempDir(), "gan.cue")
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const only = `losses: [{name: "bce", y: N.is_made.out, inputs: targets: 1}]`
	const near = `losses: [{name: "mse", inputs: targets: N.points.out}, {name: "bce", label: "fooled", y: N.is_made.out, inputs: targets: 1, weight: 0.5, from: 4, ramp: 3, adaptive: "generator.out.weight"}]`
	r := train(t, changed("steps: 3000, log_every: 250", "steps: 8, log_every: 1", `update: ["discriminator.*"]`, `update: ["discriminator.*"], from: 2`, only, near), t.TempDir())
	rows, err := journal.ReadMetrics(r.Run)
	if err != nil || len(rows) != 8 {
		t.Fatal(err, len(rows))
	}
	for i, row := range rows {
		v := row.Values
		if _, ok := v["loss/discriminator"]; ok != (i >= 2) {
			t.Errorf("step %d: the discriminator has a turn: %v", i+1, ok)
		}
		share := min(1, max(0, float64(i-3)/3))
		want := v["loss/generator/mse"] + 0.5*share*v["train/generator/fooled/factor"]*v["loss/generator/fooled"]
		if have := v["loss/generator"]; math.Abs(have-want) > 1e-4*math.Abs(want) || v["train/generator/fooled/factor"] <= 0 {
			t.Errorf("step %d: the loss is %v, want %v of %v", i+1, have, want, v)
		}
	}
	for _, c := range []struct{ from, to, want string }{
		{only, strings.Replace(near, "out.weight", "out.wieght", 1), `losses.1.adaptive: is "generator.out.wieght", which is no weight of the model (did you mean`},
		{only, strings.Replace(only, "1}]", "1, from: 3}]", 1), "phases.1.losses: none counts from the first turn on"},
		{`name: "generator"`, `name: "generator", every: 0`, "every"},
	} {
		code, _, errs := pipeCommand("check", changed(c.from, c.to))
		if code != 3 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%d: %s; want %s", code, errs, c.want)
		}
	}
}
