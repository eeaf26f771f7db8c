package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// textToImage runs a recipe of a text-to-image model for three steps, on the batches of
// testdata/golden/finetune.py instead of pictures and random numbers.
func textToImage(t *testing.T, recipe string, set ...string) trained {
	t.Helper()
	var list []tensorfile.Tensor
	add := func(file, name, as string) {
		x := named(t, file)[name]
		x.Name = as
		list = append(list, x)
	}
	const made = "../../testdata/golden/finetune/"
	for _, name := range []string{"pixels", "ids", "noise"} {
		add(made+"values.npz", name, name)
	}
	add(made+"values.npz", "spread", "drawn")
	add(made+"recipes.npz", "timestep", "timestep")
	inputs := filepath.Join(t.TempDir(), "data.npz")
	if err := tensorfile.Write(inputs, list); err != nil {
		t.Fatal(err)
	}
	columns := `{pixels: ["pixels"], ids: ["ids"], noise: ["noise"], drawn: ["drawn"], timestep: ["timestep"]}`
	var args []string
	for _, s := range append([]string{"settings.folder=" + tinyPipeline, "settings.size=32", `data.train=[{files: ["` + inputs + `"], format: "columns", columns: ` + columns + "}]",
		"data.images={}", "data.texts={}", "data.random={}", "batch.batch=2", `batch.order="file"`, "optimizer.eps=1e-3", "optimizer.lr=1e-3", "optimizer.weight_decay=0",
		`schedule={name: "constant"}`, "train.steps=3", "train.accumulate=1", "train.clip_norm=0", "train.log_every=1"}, set...) {
		args = append(args, "--set", s)
	}
	return train(t, "../../recipes/"+recipe, t.TempDir(), args...)
}

// losses compares those of the steps of a run.
func losses(t *testing.T, r trained, want tensorfile.Tensor) {
	t.Helper()
	rows := metrics(t, r.Run)
	for i, want := range want.Float64s() {
		if got, _ := rows[i]["loss"].(float64); !(math.Abs(got-want) <= 1e-5) {
			t.Errorf("step %d: loss %v, want %v", i+1, got, want)
		}
	}
}

// TestTextToImageAdapter holds the recipe of adapters, of both models, against the steps of
// diffusers' scripts, going on from a file of theirs.
func TestTextToImageAdapter(t *testing.T) {
	t.Parallel()
	values := named(t, "../../testdata/golden/finetune/recipes.npz")
	from := `adapter={from: "` + adapterFiles + `peft.safetensors"}`
	r := textToImage(t, "stable-diffusion-lora.cue", "settings.text_encoder=true", "batch.batch=1", "train.accumulate=2", "models.unet."+from, "models.text_encoder."+from)
	losses(t, r, values["lora.losses"])
	worst, n := 0.0, 0
	for name, x := range named(t, filepath.Join(r.Run, "adapter", "pytorch_lora_weights.safetensors")) {
		want, ok := values["lora."+strings.Replace(name, "text_encoder.text_model.", "text_encoder.", 1)]
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		worst, n = max(worst, worstOf(x, want)), n+1
	}
	t.Logf("%d weights, the worst error is %g", n, worst)
	if n != 104 || !(worst <= 1e-5) {
		t.Errorf("%d weights, want 104; the worst error is %g", n, worst)
	}
	if left, _ := filepath.Glob(filepath.Join(r.Run, "model", "*")); len(left) > 0 {
		t.Errorf("save.merged is false, and there are %v", left)
	}
}

// TestTextToImageFinetune holds the recipe of the whole U-Net, by velocities, and the
// average of its weights against the steps of diffusers' scripts.
func TestTextToImageFinetune(t *testing.T) {
	t.Parallel()
	r := textToImage(t, "stable-diffusion-finetune.cue", "settings.prediction=v_prediction", `save.dtype="f32"`)
	losses(t, r, named(t, "../../testdata/golden/finetune/recipes.npz")["finetune.losses"])
	after := map[string]tensorfile.Tensor{}
	for name, x := range named(t, filepath.Join(r.Model, "unet", "diffusion_pytorch_model.safetensors")) {
		after["unet."+name] = x
	}
	moved(t, tinyPipeline, "../../testdata/golden/finetune/averaged.csv", after)
	for _, part := range []string{"vae", "text_encoder", "scheduler"} {
		same(t, filepath.Join(tinyPipeline, part), filepath.Join(r.Model, part))
	}
}
