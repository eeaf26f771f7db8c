package main

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile/tensortest"
)

// morePipelines is what testdata/golden/more_pipelines.py made.
const morePipelines = "../../testdata/golden/more_pipelines/"

// TestStableDiffusion3 holds Stable Diffusion 3 against diffusers, from the same noise: with its third encoder of
// texts and without, from a picture, and a part of one.
func TestStableDiffusion3(t *testing.T) {
	t.Parallel()
	values := tensortest.Read(t, morePipelines+"values.npz")
	sd3, in := morePipelines+"sd3/", "../../testdata/golden/from_picture/"
	parts := map[string]string{"tokenizer": "../../testdata/golden/text_to_image/model/tokenizer", "tokenizer_2": moreImages + "large/tokenizer_2"}
	for _, name := range []string{"text_encoder", "text_encoder_2", "transformer", "vae", "scheduler"} {
		parts[name] = sd3 + name
	}
	less := folderOf(t, parts)
	code, _, errs := pipeCommand("run", "../../pipelines/stable-diffusion-3.cue", "--set", "model="+less, "--set", "prompt=x")
	if want := less + "/text_encoder_3: no such folder, in the folder of the pipeline; --set t5=false does without it\n"; code != 5 || errs != want {
		t.Errorf("a folder without a part gives %d: %s, want %s", code, errs, want)
	}
	parts["text_encoder_3"], parts["tokenizer_3"] = sd3+"text_encoder_3", sd3+"tokenizer_3"
	model := folderOf(t, parts)
	shared := []string{"prompt=A photo of a Cat, at NIGHT!", "negative=blurry", "width=48", "height=32", "steps=6", "guidance=4"}
	noise := "noise=" + tensorFile(t, values["sd3.noise"])
	picture := []string{"model=" + model, "picture=" + in + "in.png", "strength=0.6", "noise=" + tensorFile(t, firstOf(values["sd3.noise"]))}
	for name, set := range map[string][]string{
		"sd3":       {"model=" + model, "count=2", noise},
		"sd3_two":   {"model=" + less, "t5=false", "context_width=24", "count=2", noise},
		"sd3_image": picture,
		"sd3_part":  append(slices.Clone(picture), "mask="+in+"mask.png", "mask_blur=0", "paste=false"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pictureRun(t, "stable-diffusion-3.cue", values[name], append(slices.Clone(shared), set...)...)
		})
	}
}

// TestClassConditional holds DiT against diffusers, from the same noise: two classes, with guidance and without, by
// samplers that do not read the variances that it learned.
func TestClassConditional(t *testing.T) {
	t.Parallel()
	values := tensortest.Read(t, morePipelines+"values.npz")
	model := folderOf(t, map[string]string{"transformer": morePipelines + "dit/transformer", "scheduler": morePipelines + "dit/scheduler", "vae": "../../testdata/golden/text_to_image/model/vae"})
	index := `{"_class_name": "DiTPipeline", "id2label": {"3": "tiger shark, Galeocerdo cuvieri", "207": "golden retriever"}}`
	if err := os.WriteFile(filepath.Join(model, "model_index.json"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	shared := []string{"model=" + model, `classes=["golden retriever", 3]`, "width=32", "height=32", "steps=6", "noise=" + tensorFile(t, values["dit.noise"])}
	for name, set := range map[string][]string{
		"dit_4":     {"guidance=4"},
		"dit_1":     {"guidance=1"},
		"dit_dpm_4": {"guidance=4", "sampler=dpm"},
		"dit_dpm_1": {"guidance=1", "sampler=dpm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pictureRun(t, "class-conditional.cue", values[name], append(slices.Clone(shared), set...)...)
		})
	}
}

// TestVariations holds pictures like another one against diffusers, from the same noise.
func TestVariations(t *testing.T) {
	t.Parallel()
	const base = "../../testdata/golden/text_to_image/model/"
	values := tensortest.Read(t, morePipelines+"values.npz")
	model := folderOf(t, map[string]string{"image_encoder": morePipelines + "variation/image_encoder", "feature_extractor": morePipelines + "variation/feature_extractor",
		"unet": base + "unet", "vae": base + "vae", "scheduler": base + "scheduler"})
	pictureRun(t, "variations.cue", values["variation"], "model="+model, "picture=../../testdata/golden/from_picture/in.png", "width=48", "height=32", "count=2", "steps=6", "guidance=4",
		"noise="+tensorFile(t, values["variation.noise"]))
}

// TestGuess holds a ControlNet in guess mode against diffusers, from the same noise.
func TestGuess(t *testing.T) {
	t.Parallel()
	values := tensortest.Read(t, morePipelines+"values.npz")
	in := "../../testdata/golden/from_picture/in.png"
	pictureRun(t, "stable-diffusion.cue", values["guess"], "model=../../testdata/golden/text_to_image/model", "prompt=A photo of a Cat, at NIGHT!", "negative=blurry", "width=48", "height=32", "count=2", "steps=6", "guidance=4",
		fmt.Sprintf("controlnets=[%q]", moreImages+"control"), fmt.Sprintf("controls=[%q]", in), "control_scales=[0.8]", "guess=true", "noise="+tensorFile(t, values["guess.noise"]))
}

// TestPreview: previews change no picture, are written beside it, by the autoencoder or a tiny one, and a plan says
// what they cost.
func TestPreview(t *testing.T) {
	t.Parallel()
	const base = "../../testdata/golden/text_to_image/model/"
	dir := t.TempDir()
	run := func(name string, set ...string) []byte {
		t.Helper()
		file := filepath.Join(dir, name+".png")
		args := []string{"run", "../../pipelines/stable-diffusion.cue", "--quiet", "--out", filepath.Join(dir, name+".npz")}
		for _, s := range append([]string{"model=" + base, "prompt=a cat", "width=288", "height=16", "count=2", "steps=3", "image=" + file}, set...) {
			args = append(args, "--set", s)
		}
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		data, err := os.ReadFile(filepath.Join(dir, name+".npz"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	whole := run("none")
	if _, err := os.Stat(filepath.Join(dir, "none.preview.png")); err == nil {
		t.Error("a preview is written that nobody asked for")
	}
	tiny := "tiny=../../testdata/golden/pictures/autoencoder_tiny/model"
	for name, set := range map[string][]string{"large": {"preview=2"}, "small": {"preview=1", tiny}} {
		if string(run(name, set...)) != string(whole) {
			t.Errorf("%s: the preview changes the pictures", name)
		}
		f, err := os.Open(filepath.Join(dir, name+".preview.png"))
		if err != nil {
			t.Fatal(err)
		}
		size, err := png.DecodeConfig(f)
		f.Close()
		if err != nil || name == "large" && (size.Width != 2*8*18 || size.Height != 8) {
			t.Errorf("%s: the preview is %d x %d: %v", name, size.Width, size.Height, err)
		}
	}
	code, out, errs := pipeCommand("plan", "--time=false", "../../pipelines/stable-diffusion.cue", "--set", "model="+base, "--set", "prompt=x", "--set", "width=64", "--set", "height=64", "--set", "steps=9", "--set", "preview=4", "--set", "image=a/b.png")
	if code != 0 || !strings.Contains(out, "nodes.latents: a preview after every 4 of 10 steps, in a/b.preview.png: 2 calls of models.vae, ") || !strings.Contains(out, "% more computing than the steps alone\n") {
		t.Errorf("plan gives %d: %.600s%s", code, out, errs)
	}
}
