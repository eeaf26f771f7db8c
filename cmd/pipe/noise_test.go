package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/journal"
	"pipe.dev/executor/tensorfile"
)

const noiseRecipe = `package x

import (
	"pipe.dev/layers"
	"pipe.dev/layers/arch/unet"
	"pipe.dev/schema/op"
	"pipe.dev/schema/train"
)

_noise: layers.#Scheduler & {prediction_type: "v_prediction", beta_schedule: "squaredcos_cap_v2", clip_sample: true}
_unet: unet.#PlainConfig & {
	in_channels: 1, out_channels: 1, block_out_channels: [8, 8], layers_per_block: 1, norm_num_groups: 4, attention_head_dim: 4, num_class_embeds: 11
	down_block_types: ["DownBlock2D", "AttnDownBlock2D"], up_block_types: ["AttnUpBlock2D", "UpBlock2D"]
}
_task: layers.#NoisePrediction & {
	scheduler: _noise
	shape: [1, 8, 8]
	snr_gamma: 5
	noise_offset: 0.05
	nodes: {
		label: op.#Input & {dtype: "i32", shape: ["batch"]}
		drop: op.#Input & {shape: ["batch"]}
		class: layers.#DropCondition & {x: label.out, random: drop.out, probability: 0.1, null: 10, dtype: "i32", rank: 1}
		"unet": unet.#Plain & {
			config: _unet
			sizes: [8, 8]
			nodes: {sample: from: _task.noisy, timestep: from: _task.time, class_labels: from: _task.nodes.class.out}
		}
	}
	predicted: nodes["unet"].out
}
r: train.#Recipe & {
	name: "noise"
	model: graph: _task
	data: {
		train: [{files: ["DIR/x-idx3-ubyte", "DIR/y-idx1-ubyte"], format: "columns", columns: {clean: ["x-idx3-ubyte"], label: ["y-idx1-ubyte"]},
			normalize: clean: [127.5, 127.5]}]
		random: {_task.random, drop: kind: "uniform"}
	}
	batch: batch: 16
	objective: {name: "mse", inputs: targets: 0}
	optimizer: {name: "adamw", lr: 5e-3}
	schedule: name: "constant"
	ema: decay: 0.9
	train: {steps: 40, log_every: 1, histograms: "none"}
	save: {
		every: 15
		models: "unet": {part: "unet", config: _unet}
		files: "scheduler/scheduler_config.json": _noise
	}
}
`

// TestNoise trains a U-Net to find noise: the loss falls, a run that goes on has
// the bits of one that never stopped, and what it leaves has the names of
// diffusers, and draws.
func TestNoise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x, y := []byte{0, 0, 8, 3, 0, 0, 0, 32, 0, 0, 0, 8, 0, 0, 0, 8}, []byte{0, 0, 8, 1, 0, 0, 0, 32}
	for i := range 32 { // a bright column, or a dark picture
		for k := range 64 {
			x = append(x, map[bool]byte{true: 255}[i%4 != 0 && k%8 == 2*(i%4)])
		}
		y = append(y, byte(i%4))
	}
	recipe := bytes.ReplaceAll([]byte(noiseRecipe), []byte("DIR"), []byte(filepath.ToSlash(dir)))
	file := filepath.Join(dir, "noise.cue")
	for name, data := range map[string][]byte{"x-idx3-ubyte": x, "y-idx1-ubyte": y, "noise.cue": recipe} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := train(t, file, t.TempDir(), "--threads", "1")
	runs := t.TempDir()
	again := train(t, file, runs)
	unfinish(t, filepath.Join(again.Run, "run.json")) // as if it had been killed after step 30
	for _, name := range []string{"checkpoints/step-00000040", "model"} {
		if err := os.RemoveAll(filepath.Join(again.Run, name)); err != nil {
			t.Fatal(err)
		}
	}
	resumed := train(t, file, runs)
	const weights = "unet/diffusion_pytorch_model.safetensors"
	if a, b := contents(t, whole.Model, weights), contents(t, resumed.Model, weights); !bytes.Equal(a, b) {
		t.Error("a run that went on, with other threads, has other weights than one that was never stopped")
	}
	rows, err := journal.ReadMetrics(whole.Run)
	if err != nil || len(rows) != 40 {
		t.Fatal(err, len(rows))
	}
	first, last := 0.0, 0.0
	for i := range 8 {
		first, last = first+rows[i].Values[journal.Loss], last+rows[32+i].Values[journal.Loss]
	}
	if !(last < 0.7*first) {
		t.Errorf("the loss falls from %g to %g in 40 steps", first/8, last/8)
	}
	drawn(t, whole.Model)
}

// drawn looks at the folder that a run left, and draws with it.
func drawn(t *testing.T, model string) {
	t.Helper()
	ours, theirs := savedShapes(t, filepath.Join(model, "unet")), savedShapes(t, "../../testdata/golden/noise/unet")
	delete(theirs, "class_embedding.weight") // of fewer classes
	for name, shape := range theirs {
		if ours[name] != shape {
			t.Errorf("%s is %s, and of diffusers %s", name, ours[name], shape)
		}
	}
	if len(ours) != len(theirs)+1 {
		t.Errorf("%d tensors, want %d", len(ours), len(theirs)+1)
	}
	var scheduler struct {
		Class string `json:"_class_name"`
		Kind  string `json:"prediction_type"`
		Steps int    `json:"num_train_timesteps"`
	}
	if err := json.Unmarshal(contents(t, model, "scheduler/scheduler_config.json"), &scheduler); err != nil || scheduler.Class != "DDPMScheduler" || scheduler.Kind != "v_prediction" || scheduler.Steps != 1000 {
		t.Errorf("scheduler_config.json has %+v, %v", scheduler, err)
	}
	picture := filepath.Join(t.TempDir(), "digits.png")
	code, _, errs := pipeCommand("run", "../../pipelines/digits.cue", "--set", "model="+model, "--set", "steps=2", "--set", "classes=[3, 1, 2]", "--set", "image="+picture)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := png.DecodeConfig(f); err != nil || p.Width < 3*28 || p.Height < 28 {
		t.Errorf("the picture is %d by %d, %v", p.Width, p.Height, err)
	}
}

func contents(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// savedShapes are the tensors in a folder's file.
func savedShapes(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := tensorfile.Read(filepath.Join(dir, "diffusion_pytorch_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range list {
		out[x.Name] = x.Type.String()
	}
	return out
}
