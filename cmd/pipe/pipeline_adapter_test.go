package main

import (
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// adapterFiles is what testdata/golden/lora.py made, of the pipeline in tinyPipeline.
const (
	adapterFiles = "../../testdata/golden/lora/"
	tinyPipeline = "../../testdata/golden/text_to_image/model"
)

// tinyPicture are the flags of the picture of testdata/golden/lora.py, but for the folder.
func tinyPicture(t *testing.T) []string {
	t.Helper()
	return []string{"prompt=A photo of a Cat", "width=32", "height=32", "steps=3", "guidance=4", "noise=" + tensorFile(t, tensortest.Read(t, adapterFiles+"values.npz")["noise"])}
}

// TestPipelineAdapter holds pictures of a pipeline with adapters of its U-Net, some
// of convolutions, and its text encoder against those of diffusers: by files of
// all the spellings that there are, with a scale, and merged.
func TestPipelineAdapter(t *testing.T) {
	t.Parallel()
	values, shared := tensortest.Read(t, adapterFiles+"values.npz"), tinyPicture(t)
	for name, set := range map[string][]string{
		"plain": {"lora=" + adapterFiles + "peft.safetensors", "lora_scale=0"},
		"image": {"lora=" + adapterFiles + "pytorch_lora_weights.safetensors"},
		"half":  {"lora=" + adapterFiles, "lora_scale=0.5"}, // a folder
		"peft":  {"lora=" + adapterFiles + "peft.safetensors"},
		"kohya": {"lora=" + adapterFiles + "kohya.safetensors"},
		"older": {"lora=" + adapterFiles + "older.safetensors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pictureRun(t, "stable-diffusion.cue", values[name], append(slices.Concat(shared, set), "model="+tinyPipeline)...)
		})
	}
	t.Run("large", func(t *testing.T) {
		t.Parallel()
		large := moreImages + "large/"
		model := folderOf(t, map[string]string{"text_encoder": tinyPipeline + "/text_encoder", "tokenizer": tinyPipeline + "/tokenizer", "vae": tinyPipeline + "/vae",
			"text_encoder_2": large + "text_encoder_2", "tokenizer_2": large + "tokenizer_2", "unet": large + "unet", "scheduler": large + "scheduler"})
		pictureRun(t, "stable-diffusion-xl.cue", values["large"], append(slices.Clone(shared), "model="+model, "lora="+adapterFiles+"large.safetensors")...)
	})
	t.Run("merged", func(t *testing.T) {
		t.Parallel()
		parts := map[string]string{"unet": "", "text_encoder": "", "vae": tinyPipeline + "/vae", "tokenizer": tinyPipeline + "/tokenizer", "scheduler": tinyPipeline + "/scheduler"}
		for _, part := range []string{"unet", "text_encoder"} {
			parts[part] = filepath.Join(t.TempDir(), part)
			if code, _, errs := pipeCommand("merge", filepath.Join(tinyPipeline, part), adapterFiles+"kohya.safetensors", "--dtype", "f32", "--out", parts[part]); code != 0 {
				t.Fatalf("exit code %d: %s", code, errs)
			}
		}
		pictureRun(t, "stable-diffusion.cue", values["kohya"], append(slices.Clone(shared), "model="+folderOf(t, parts))...)
	})
}

// TestPipelineAdapterTrained trains adapters of two models, and wants the pipeline
// with the file that is left to draw what the model that is left draws, and
// training that goes on from the file to begin where it ended.
func TestPipelineAdapterTrained(t *testing.T) {
	t.Parallel()
	adapted := []string{"unet: from: _folder + \"/unet\"", `unet: {from: _folder + "/unet", adapter: {UNET}}`,
		`text_encoder: from: _folder + "/text_encoder"`, `text_encoder: {from: _folder + "/text_encoder", adapter: {TEXT}}`, "lr: 1e-3", "lr: 0.1"}
	r := train(t, tunedRecipe(t, append(adapted, "UNET", `rank: 2, alpha: 3, targets: ["to_q", "to_v", "conv1"]`, "TEXT", `rank: 2, alpha: 3, targets: ["q_proj"]`)...), t.TempDir())
	file := filepath.Join(r.Run, "adapter", "pytorch_lora_weights.safetensors")
	draw := func(set ...string) tensorfile.Tensor {
		out := filepath.Join(t.TempDir(), "out.npz")
		args := []string{"run", "../../pipelines/stable-diffusion.cue", "--quiet", "--out", out, "--set", "image=" + filepath.Join(t.TempDir(), "made.png")}
		for _, s := range append(tinyPicture(t), set...) {
			args = append(args, "--set", s)
		}
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		return tensortest.Read(t, out)["image"]
	}
	whole, plain := draw("model="+r.Model), draw("model="+tinyPipeline)
	if d := worstOf(whole, plain); !(d > 1e-3) {
		t.Errorf("training changes pictures by %g", d)
	}
	if d := worstOf(draw("model="+tinyPipeline, "lora="+file), whole); !(d <= 1e-4) {
		t.Errorf("the adapter alone and the merged model differ by %g", d)
	}
	more := train(t, tunedRecipe(t, append(adapted, "UNET", `from: "`+file+`"`, "TEXT", `from: "`+filepath.Dir(file)+`"`, "lr: 0.1", "lr: 1e-30")...), t.TempDir())
	was, is := tensortest.Read(t, file), tensortest.Read(t, filepath.Join(more.Run, "adapter", "pytorch_lora_weights.safetensors"))
	if !slices.Equal(slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(is))) {
		t.Fatalf("%d tensors become %d others", len(was), len(is))
	}
	for name, x := range was {
		if string(x.Data) != string(is[name].Data) {
			t.Errorf("%s has changed", name)
		}
	}
	if d := worstOf(draw("model="+tinyPipeline, "lora="+filepath.Join(more.Run, "adapter")), whole); !(d <= 1e-4) {
		t.Errorf("what went on from the adapter differs by %g", d)
	}
}

// TestPipelineAdapterMisfit wants one line for files of adapters that the pipeline
// can't have; others are those of executor/adapter.
func TestPipelineAdapterMisfit(t *testing.T) {
	t.Parallel()
	zeros := func(name string, shape ...int) checkpoint.Data {
		x := ir.T(ir.F32, shape...)
		return checkpoint.Data{Name: name, Type: x, Bytes: make([]byte, x.Bytes())}
	}
	file := filepath.Join(t.TempDir(), "lora.safetensors")
	layer := "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
	for _, c := range []struct {
		list []checkpoint.Data
		set  string
		want string
	}{
		{[]checkpoint.Data{zeros("text_encoder_2.x.lora_A.weight", 2, 8)}, file, `tensor "text_encoder_2.x.lora_A.weight" is for none of the models `},
		{[]checkpoint.Data{zeros(layer+".lora_A.weight", 2, 8), zeros(layer+".lora_B.weight", 16, 2)}, file, `tensor "` + layer + `.lora_A.weight" has shape [2 8], want [2 16]`},
		{nil, "nosuch.safetensors", "nosuch.safetensors: no such file"},
		{nil, tinyPipeline, "adapter_config.json"},
	} {
		if err := checkpoint.Replace(file, func(w io.Writer) error { return checkpoint.Encode(w, c.list, nil) }); err != nil {
			t.Fatal(err)
		}
		code, _, errs := pipeCommand("run", "../../pipelines/stable-diffusion.cue", "--quiet", "--set", "model="+tinyPipeline, "--set", "prompt=x", "--set", "lora="+c.set)
		if code != exitData || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit code %d, want %s: %s", code, c.want, errs)
		}
	}
}
