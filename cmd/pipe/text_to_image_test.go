package main

import (
	"encoding/json"
	"fmt"
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

// moreImages is what testdata/golden/text_to_image_more.py made.
const moreImages = "../../testdata/golden/text_to_image_more/"

// TestLarge holds Stable Diffusion XL against diffusers, from the same noise: what the model is
// told of sizes, zeros for what a picture is not like, and a picture to begin from.
func TestLarge(t *testing.T) {
	t.Parallel()
	const base = "../../testdata/golden/text_to_image/model/"
	values := tensortest.Read(t, moreImages+"values.npz")
	large := moreImages + "large/"
	model := folderOf(t, map[string]string{"text_encoder": base + "text_encoder", "tokenizer": base + "tokenizer", "vae": base + "vae",
		"text_encoder_2": large + "text_encoder_2", "tokenizer_2": large + "tokenizer_2", "unet": large + "unet", "scheduler": large + "scheduler"})
	shared := []string{"model=" + model, "prompt=A photo of a Cat, at NIGHT!", "width=48", "height=32", "steps=6", "guidance=4"}
	noise := "noise=" + tensorFile(t, values["noise"])
	one, in := "noise="+tensorFile(t, firstOf(values["noise"])), "../../testdata/golden/from_picture/"
	for name, set := range map[string][]string{
		"large": {"count=2", "negative=blurry", "original=[100, 90]", "crop=[5, 7]", "target=[64, 60]", "negative_original=[20, 30]", "negative_crop=[1, 2]",
			"negative_target=[40, 50]", "rescale=0.7", noise},
		"large_zeros":   {"count=2", noise},
		"large_image":   {"negative=blurry", "picture=" + in + "in.png", "strength=0.6", one},
		"large_part":    {"negative=blurry", "picture=" + in + "in.png", "mask=" + in + "mask.png", "mask_blur=0", "paste=false", "strength=0.6", one},
		"large_control": {"negative=blurry", fmt.Sprintf("controlnets=[%q]", moreImages+"large_control"), fmt.Sprintf("controls=[%q]", in+"in.png"), "control_scales=[0.8]", one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pictureRun(t, "stable-diffusion-xl.cue", values[name], append(slices.Clone(shared), set...)...)
		})
	}
}

// firstOf is the first row.
func firstOf(x tensorfile.Tensor) tensorfile.Tensor {
	sizes := x.Type.Sizes()
	n := len(x.Data) / sizes[0]
	sizes[0] = 1
	return tensorfile.Tensor{Name: x.Name, Type: ir.T(x.Type.DType, sizes...), Data: x.Data[:n]}
}

// TestControl holds pictures that follow others, by one ControlNet and by two for parts of the
// steps, against diffusers, from the same noise.
func TestControl(t *testing.T) {
	t.Parallel()
	const base, in = "../../testdata/golden/text_to_image/model", "../../testdata/golden/from_picture/in.png"
	values := tensortest.Read(t, moreImages+"values.npz")
	turned := filepath.Join(t.TempDir(), "turned.png")
	document := filepath.Join(t.TempDir(), "turn.cue")
	text := fmt.Sprintf(`package p
import "pipe.dev/schema/pipeline"
turn: pipeline.#Pipeline & {
	name: "turn"
	inputs: {from: {type: "text", value: %q}, to: {type: "text", value: %q}}
	nodes: {
		read: pipeline.#ImageRead & {path: inputs.from.out}
		sized: pipeline.#ImageResize & {x: read.out, width: 48, height: 32, filter: "lanczos"}
		turned: pipeline.#ImageTurn & {x: sized.out, turn: "180"}
		written: pipeline.#ImageWrite & {x: turned.out, path: inputs.to.out}
	}
	outputs: file: {from: nodes.written.out, type: "text"}
}
`, in, turned)
	if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := pipeCommand("run", document); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	one, two := moreImages+"control", moreImages+"control_b"
	shared := []string{"model=" + base, "prompt=A photo of a Cat, at NIGHT!", "negative=blurry", "width=48", "height=32", "steps=6", "guidance=4"}
	noise := "noise=" + tensorFile(t, values["noise"])
	from := []string{"picture=" + in, "strength=0.6", "noise=" + tensorFile(t, firstOf(values["noise"])),
		fmt.Sprintf("controlnets=[%q]", one), fmt.Sprintf("controls=[%q]", turned), "control_scales=[0.8]", "control_starts=[0.3]"}
	for name, set := range map[string][]string{
		"control":       {fmt.Sprintf("controlnets=[%q]", one), fmt.Sprintf("controls=[%q]", in), "control_scales=[0.8]", "count=2", noise},
		"controls":      {fmt.Sprintf("controlnets=[%q, %q]", one, two), fmt.Sprintf("controls=[%q, %q]", in, turned), "control_scales=[0.5, 1.5]", "control_starts=[0, 0.3]", "control_ends=[0.5, 1]", "count=2", noise},
		"control_image": from,
		"control_part":  append(slices.Clone(from), "mask=../../testdata/golden/from_picture/mask.png", "mask_blur=0", "paste=false"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pictureRun(t, "stable-diffusion.cue", values[name], append(slices.Clone(shared), set...)...)
		})
	}
	code, _, errs := pipeCommand("run", "../../pipelines/stable-diffusion.cue", "--set", "model="+base, "--set", "prompt=x", "--set", fmt.Sprintf("controlnets=[%q]", one))
	if code != 3 || !strings.Contains(errs, "inputs.controls.value") || strings.Count(errs, "\n") > 1 {
		t.Errorf("a ControlNet without a picture gives %d: %s", code, errs)
	}
}

// TestWeighted holds weighted and long prompts against what their rules give by PyTorch, with another
// reader of brackets (testdata/golden/text_to_image_more.py).
func TestWeighted(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(moreImages + "texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var prompts []string
	if err := json.Unmarshal(data, &prompts); err != nil {
		t.Fatal(err)
	}
	values := tensortest.Read(t, moreImages+"values.npz")
	document := filepath.Join(t.TempDir(), "texts.cue")
	const text = `package p
import "pipe.dev/pipelines/diffusion"
texts: diffusion.#Texts & {
	name: "texts"
	inputs: {
		model: {type: "text", value: "../../testdata/golden/text_to_image/model"}
		prompt: type: "text"
		negative: {type: "text", value: ""}
		weights: {type: "bool", value: true}
	}
	#encoders: text: {folder: "text_encoder", tokenizer: "tokenizer", fill: "<|endoftext|>", output: "hidden"}
	outputs: {
		ids: {from: "text_said_ids", type: "tensor"}
		vectors: {from: "text_said", type: "tensors"}
	}
}
`
	if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, prompt := range prompts {
		out := filepath.Join(t.TempDir(), "out.npz")
		if code, _, errs := pipeCommand("run", document, "--quiet", "--set", "prompt="+prompt, "--out", out); code != 0 {
			t.Fatalf("%s: exit code %d: %s", prompt, code, errs)
		}
		got := tensortest.Read(t, out)
		ids, err := got["ids"].Int32s()
		if err != nil {
			t.Fatal(err)
		}
		want, err := values[fmt.Sprintf("ids.%d", i)].Int32s()
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%s: ids %v, want %v (%v)", prompt, ids, want, err)
			continue
		}
		worst := worstOf(got["weighed"], values[fmt.Sprintf("hidden.%d", i)])
		t.Logf("%s: worst error %g", prompt, worst)
		if !(worst <= 1e-4) {
			t.Errorf("%s: worst error %g", prompt, worst)
		}
	}
}

// worstOf is the greatest difference of two tensors of one size.
func worstOf(x, y tensorfile.Tensor) float64 {
	a, b := x.Float64s(), y.Float64s()
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i]))
	}
	return worst
}

// TestUnconditional holds pictures from noise alone against diffusers, with the noise of each
// step (testdata/golden/unconditional.py).
func TestUnconditional(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/unconditional/"
	values := tensortest.Read(t, golden+"values.npz")
	model := folderOf(t, map[string]string{"unet": "../../testdata/golden/pictures/unet_plain/model", "scheduler": golden + "scheduler"})
	pictureRun(t, "unconditional.cue", values["pictures"], "model="+model, "width=8", "height=8", "count=2", "steps=5",
		"noise="+tensorFile(t, values["noise"]), "noises="+tensorFile(t, values["noises"]))
}
