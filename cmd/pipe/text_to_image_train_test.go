package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// fineTuned are the batches of testdata/golden/finetune.py, by the names of the recipes.
func fineTuned(t *testing.T) (list []tensorfile.Tensor) {
	t.Helper()
	const made = "../../testdata/golden/finetune/"
	values := tensortest.Read(t, made+"values.npz")
	values["timestep"], values["drawn"] = tensortest.Read(t, made+"recipes.npz")["timestep"], values["spread"]
	for _, name := range []string{"pixels", "ids", "noise", "drawn", "timestep"} {
		x := values[name]
		x.Name = name
		list = append(list, x)
	}
	return list
}

// columnsOf is a source of a recipe: a file of tensors, for inputs that begin with front.
func columnsOf(t *testing.T, list []tensorfile.Tensor, front string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "data.npz")
	if err := tensorfile.Write(file, list); err != nil {
		t.Fatal(err)
	}
	columns := ""
	for _, x := range list {
		columns += fmt.Sprintf("%q: [%q], ", front+x.Name, x.Name)
	}
	return fmt.Sprintf("[{files: [%q], format: \"columns\", columns: {%s}}]", file, columns)
}

// textToImage runs a recipe of a text-to-image model for three steps, on the batches of
// testdata/golden/finetune.py instead of pictures and random numbers.
func textToImage(t *testing.T, recipe string, set ...string) trained {
	t.Helper()
	var args []string
	for _, s := range append([]string{"settings.folder=" + tinyPipeline, "settings.size=32", "data.train=" + columnsOf(t, fineTuned(t), ""),
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
	values := tensortest.Read(t, "../../testdata/golden/finetune/recipes.npz")
	from := `adapter={from: "` + adapterFiles + `peft.safetensors"}`
	r := textToImage(t, "stable-diffusion-lora.cue", "settings.text_encoder=true", "batch.batch=1", "train.accumulate=2", "models.unet."+from, "models.text_encoder."+from)
	losses(t, r, values["lora.losses"])
	worst, n := 0.0, 0
	for name, x := range tensortest.Read(t, filepath.Join(r.Run, "adapter", "pytorch_lora_weights.safetensors")) {
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
	r := textToImage(t, "stable-diffusion-finetune.cue", "settings.prediction=v_prediction", "agrees={}", `save.dtype="f32"`)
	losses(t, r, tensortest.Read(t, "../../testdata/golden/finetune/recipes.npz")["finetune.losses"])
	after := map[string]tensorfile.Tensor{}
	for name, x := range tensortest.Read(t, filepath.Join(r.Model, "unet", "diffusion_pytorch_model.safetensors")) {
		after["unet."+name] = x
	}
	moved(t, tinyPipeline, "../../testdata/golden/finetune/averaged.csv", after)
	for _, part := range []string{"vae", "text_encoder", "scheduler"} {
		same(t, filepath.Join(tinyPipeline, part), filepath.Join(r.Model, part))
	}
}

// TestDreamBooth holds the recipe, with the whole U-Net and fewer pictures of the kind than
// of the thing, against the steps of diffusers' script.
func TestDreamBooth(t *testing.T) {
	t.Parallel()
	var kind []tensorfile.Tensor
	for _, x := range fineTuned(t) { // backwards, four of six
		sizes := x.Type.Sizes()
		n, row := sizes[0], len(x.Data)/sizes[0]
		sizes[0] = 4
		back := tensorfile.Tensor{Name: x.Name, Type: ir.T(x.Type.DType, sizes...)}
		for i := n - 1; i >= n-4; i-- {
			back.Data = append(back.Data, x.Data[i*row:(i+1)*row]...)
		}
		kind = append(kind, back)
	}
	r := textToImage(t, "dreambooth.cue", "settings.whole=true", "settings.prior=0.7", "data.train="+columnsOf(t, fineTuned(t), "thing."), "data.beside="+columnsOf(t, kind, "kind."), `save.dtype="f32"`)
	losses(t, r, tensortest.Read(t, "../../testdata/golden/finetune/recipes.npz")["dreambooth.losses"])
	after := map[string]tensorfile.Tensor{}
	for name, x := range tensortest.Read(t, filepath.Join(r.Model, "unet", "diffusion_pytorch_model.safetensors")) {
		after["unet."+name] = x
	}
	moved(t, tinyPipeline, "../../testdata/golden/finetune/dreambooth.csv", after)
}

// captioned is a folder of pictures with captions.
func captioned(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 5 {
		m := image.NewNRGBA(image.Rect(0, 0, 36, 32))
		for k := range m.Pix {
			m.Pix[k] = uint8(k*(7+i) + k*k*i | 255*(k%4/3))
		}
		var b bytes.Buffer
		err := png.Encode(&b, m)
		name := filepath.Join(dir, fmt.Sprint(i))
		if err == nil {
			err = os.WriteFile(name+".png", b.Bytes(), 0o644)
		}
		if err == nil {
			err = os.WriteFile(name+".txt", []byte("a photo of cat "+name[len(name)-1:]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestComputedOnce trains with latents that are computed once, and vectors of captions,
// and wants the bits of a training that computes them at every step; they are kept for
// the next run. What is random is refused, and so is another kind of prediction.
func TestComputedOnce(t *testing.T) {
	t.Parallel()
	runs, set := t.TempDir(), []string{}
	for _, s := range []string{"settings.folder=" + tinyPipeline, "settings.pictures=" + captioned(t), "settings.size=32", "settings.flip=false", "settings.drop=0", "batch.batch=2",
		"data.train.0.validation=0.2", "optimizer.lr=0.1", "train.steps=4", "train.log_every=1", `schedule={name: "constant"}`} {
		set = append(set, "--set", s)
	}
	run := func(more ...string) ([]byte, float64) {
		r := train(t, "../../recipes/stable-diffusion-lora.cue", runs, append(slices.Clone(set), more...)...)
		data, err := os.ReadFile(filepath.Join(r.Run, "adapter", "pytorch_lora_weights.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return data, r.Eval
	}
	each, evalEach := run()
	once, evalOnce := run("--set", "settings.cache=true")
	if !bytes.Equal(each, once) || evalEach != evalOnce {
		t.Errorf("what is computed once trains other adapters; evaluations are %v and %v", evalEach, evalOnce)
	}
	kept := func() (list []string) {
		entries, err := os.ReadDir(filepath.Join(runs, ".computed"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, e.Name(), info.ModTime().String())
		}
		return list
	}
	before := kept()
	run("--set", "settings.cache=true", "--set", "train.steps=2")
	if after := kept(); len(before) != 4 || !slices.Equal(before, after) {
		t.Errorf("two results are kept as %v, then %v", before, after)
	}
	for _, c := range []struct{ set, want string }{
		{"settings.flip=true", "a transform of data.images.pixels is random"},
		{"settings.prediction=v_prediction", `scheduler_config.json says that prediction_type is "epsilon", and the recipe that it is "v_prediction"`},
		{"models.vae.freeze=[]", `models.vae.cache: is for a model with from and freeze: ["*"]`},
		{"data.mix={mixup: 1}", "data.mix mixes them"},
	} {
		code, _, errs := pipeCommand(append(append([]string{"run", "../../recipes/stable-diffusion-lora.cue", "--quiet", "--runs", t.TempDir()}, set...), "--set", "settings.cache=true", "--set", c.set)...)
		if code != 3 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s", c.set, code, errs)
		}
	}
}
