package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// sharedImages is where real weights of pictures may lie.
const sharedImages = "../../../shared/data/image/"

// TestDigit draws a digit with a real denoiser, and holds it against NumPy in
// float64 (testdata/golden/ddpm.py), after a thousand steps.
func TestDigit(t *testing.T) {
	t.Parallel()
	weights := sharedImages + "yichizz_ddpm_mnist_starter.safetensors"
	if _, err := os.Stat(weights); err != nil {
		t.Skipf("needs real weights: %v", err)
	}
	dir := t.TempDir()
	picture, out := filepath.Join(dir, "digit.png"), filepath.Join(dir, "digit.npz")
	code, _, errs := pipeCommand("run", "../../pipelines/mnist-ddpm.cue", "--quiet", "--set", "model="+weights,
		"--set", "count=1", "--set", "seed=3", "--set", "image="+picture, "--out", out)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	want, err := tensorfile.Read("../../testdata/golden/samplers/digit.npy")
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, v := range tensortest.Read(t, out)["digits"].Float64s() {
		worst = max(worst, math.Abs(v-want[0].Float64s()[i]))
	}
	if !(worst <= 1e-4) {
		t.Errorf("worst error %g", worst)
	}
	if st, err := os.Stat(picture); err != nil || st.Size() == 0 {
		t.Errorf("no picture: %v", err)
	}
}

// TestDenoiseDocument: samples are the same whatever stands beside them, and
// what is wrong is said before a weight is read.
func TestDenoiseDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model := filepath.Join("..", "..", "testdata", "golden", "pictures", "unet_plain", "model")
	document := func(stage string) string {
		file := filepath.Join(dir, "walk.cue")
		text := `package p
import "pipe.dev/schema/pipeline"
walk: pipeline.#Pipeline & {
	name: "walk"
	inputs: {seed: {type: "int", value: 0}, count: {type: "int", value: 1}}
	models: unet: from: "` + model + `"
	nodes: made: pipeline.#Denoise & {
		model: models.unet.out, seed: inputs.seed.value, count: inputs.count.value, ` + stage + `
	}
	outputs: made: {from: nodes.made.out, type: "tensor"}
}
`
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	run := func(file string, set ...string) []float64 {
		t.Helper()
		out := filepath.Join(dir, "out.npz")
		args := []string{"run", file, "--quiet", "--out", out}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		return tensortest.Read(t, out)["made"].Float64s()
	}
	file := document(`sampler: "euler_ancestral", steps: 4, shape: [3, 8, 8]`)
	three := run(file, "count=3", "seed=5")
	if n := len(three) / 3; !slices.Equal(run(file, "seed=6"), three[n:2*n]) {
		t.Error("a sample differs with what is made beside it")
	}
	for _, c := range []struct{ stage, want string }{
		{`sampler: "ddpm"`, "shape is missing: give the sizes of a sample, as [4, 64, 64]"},
		{`sampler: "ddpm", shape: [3, 8, 7]`, "with.sample is f32[1,3,8,7], want [batch,3,4*height,4*width], and 7 is no multiple of 4: 4 and 8 are"},
		{`sampler: "ddpm", shape: [3, 8, 8], settings: beta_shedule: "linear"`, `settings: setting "beta_shedule" is not known; did you mean beta_schedule?`},
		{`sampler: "ddpm", shape: [3, 8, 8], steps: 2000`, "2000 steps, but the model is trained on 1000"},
		{`shape: [3, 8, 8]`, "no sampler is named; want one of ddpm"},
		{`scheduler: "` + dir + `", shape: [3, 8, 8]`, "scheduler_config.json: no such file"},
		{`sampler: "ddpm", shape: [3, 8, 8], strength: 0.001`, "strength 0.001 of 50 steps leaves none"},
	} {
		code, _, errs := pipeCommand("run", document(c.stage))
		if code == 0 || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%s gives %d: %s, want %s", c.stage, code, errs, c.want)
		}
	}
}

// TestTinyAutoencoder holds both halves of a real autoencoder against PyTorch
// (testdata/golden/taef2.py).
func TestTinyAutoencoder(t *testing.T) {
	t.Parallel()
	for _, half := range []string{"encoder", "decoder"} {
		if _, err := os.Stat(sharedImages + "taef2_" + half + ".safetensors"); err != nil {
			t.Skipf("needs real weights: %v", err)
		}
	}
	want := tensortest.Read(t, "../../testdata/golden/samplers/taef2.npz")
	dir := t.TempDir()
	out := filepath.Join(dir, "out.npz")
	for _, c := range []struct{ half, def, input, output string }{
		{"encoder", "#TinyEncoder", "sample", "latents"},
		{"decoder", "#TinyDecoder", "latents_in", "image"},
	} {
		input := filepath.Join(dir, c.input+".npy")
		v := want[c.input]
		if err := tensorfile.Write(input, []tensorfile.Tensor{v}); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, c.half+".cue")
		text := `package p
import (
	"pipe.dev/layers/arch/autoencoder"
	"pipe.dev/schema/pipeline"
)
half: pipeline.#Pipeline & {
	name: "half"
	inputs: {model: type: "model", x: type: "tensor"}
	models: half: {from: inputs.model.value, arch: autoencoder.` + c.def + ` & {config: {latent_channels: 32, pooled: true}}}
	nodes: run: pipeline.#Run & {model: models.half.out, with: ` + c.input + `: inputs.x.out}
	outputs: tensors: {from: nodes.run.out, type: "tensors"}
}
`
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, errs := pipeCommand("run", file, "--quiet", "--set", "model="+sharedImages+"taef2_"+c.half+".safetensors", "--set", "x="+input, "--out", out)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		worst, size := 0.0, 0.0
		got := tensortest.Read(t, out)[c.output].Float64s()
		for i, w := range want[c.output].Float64s() {
			worst, size = max(worst, math.Abs(w-got[i])), max(size, math.Abs(w))
		}
		t.Logf("%s: worst error %g of %g", c.half, worst, size)
		if !(worst <= 1e-3*size) {
			t.Errorf("%s: worst error %g of %g", c.half, worst, size)
		}
	}
}

// TestTextToImage holds a whole pipeline from text to pictures against diffusers
// (testdata/golden/text_to_image.py), from the same noise.
func TestTextToImage(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/text_to_image/"
	values := tensortest.Read(t, golden+"values.npz")
	dir := t.TempDir()
	noise, out, picture := filepath.Join(dir, "noise.npy"), filepath.Join(dir, "out.npz"), filepath.Join(dir, "made.png")
	if err := tensorfile.Write(noise, []tensorfile.Tensor{values["noise"]}); err != nil {
		t.Fatal(err)
	}
	code, text, errs := pipeCommand("run", "../../pipelines/stable-diffusion.cue", "--quiet", "--set", "model="+golden+"model", "--set", "prompt=A photo of a Cat, at NIGHT!",
		"--set", "negative=blurry", "--set", "width=64", "--set", "height=48", "--set", "count=2", "--set", "steps=6", "--set", "guidance=4", "--set", "noise="+noise, "--set", "image="+picture, "--out", out)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	worst := 0.0
	want := values["pictures"].Float64s()
	for i, v := range tensortest.Read(t, out)["image"].Float64s() {
		worst = max(worst, math.Abs(min(max(v/2+0.5, 0), 1)-want[i]))
	}
	t.Logf("worst error %g", worst)
	if !(worst <= 1e-3) {
		t.Errorf("worst error %g", worst)
	}
	if first := strings.TrimSuffix(picture, ".png") + "-0.png"; !strings.Contains(text, first) {
		t.Errorf("writes %s, want %s among them", text, first)
	}
}

// TestDenoiseMask: what a mask keeps ends as it was, and a mask that keeps nothing
// changes nothing.
func TestDenoiseMask(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tensor := func(name string, v float32, shape ...int) string {
		file := filepath.Join(dir, name+".npy")
		n := 1
		for _, s := range shape {
			n *= s
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = v * float32(math.Cos(float64(i)))
			if v == 1 {
				values[i] = 1
			}
		}
		if err := tensorfile.Write(file, []tensorfile.Tensor{tensorfile.FromFloat32s(name, values, shape...)}); err != nil {
			t.Fatal(err)
		}
		return file
	}
	x, none, all := tensor("x", 0.5, 1, 3, 8, 8), tensor("none", 0, 1, 1, 8, 8), tensor("all", 1, 1, 1, 8, 8)
	file := filepath.Join(dir, "anew.cue")
	text := `package p
import "pipe.dev/schema/pipeline"
anew: pipeline.#Pipeline & {
	name: "anew"
	inputs: {x: type: "tensor", mask: {type: "tensor", optional: true}, strength: {type: "float", value: 0.5}}
	models: unet: from: "../../testdata/golden/pictures/unet_plain/model"
	nodes: made: pipeline.#Denoise & {
		model: models.unet.out, sampler: "euler", steps: 6, x: inputs.x.out, mask: inputs.mask.out, strength: inputs.strength.value
	}
	outputs: made: {from: nodes.made.out, type: "tensor"}
}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(set ...string) []float64 {
		t.Helper()
		out := filepath.Join(dir, "out.npz")
		args := []string{"run", file, "--quiet", "--out", out, "--set", "x=" + x}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		return tensortest.Read(t, out)["made"].Float64s()
	}
	begun, err := tensorfile.Read(x)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(run("mask="+none), begun[0].Float64s()) {
		t.Error("what a mask keeps is changed")
	}
	half := run()
	if !slices.Equal(run("mask="+all), half) {
		t.Error("a mask that keeps nothing makes a difference")
	}
	if slices.Equal(run("strength=1"), half) {
		t.Error("strength makes no difference")
	}
}
