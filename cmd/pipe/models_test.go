package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// tuned is a recipe of three models: pictures become latents, texts vectors, and a
// U-Net finds the noise that was added.
const tuned = `package x

import (
	"pipe.dev/schema/op"
	"pipe.dev/schema/train"
)

_folder: "FOLDER"
_graph: op.#Model & {
	nodes: {
		pixels: op.#Input & {shape: ["batch", 3, 32, 32]}
		"ids": op.#Input & {dtype: "i32", shape: ["batch", 77]}
		spread: op.#Input & {shape: ["batch", 4, 4, 4]}
		noise: op.#Input & {shape: ["batch", 4, 4, 4]}
		time: op.#Input & {shape: ["batch"]}
		signal: op.#Input & {shape: ["batch", 1, 1, 1]}
		share: op.#Input & {shape: ["batch", 1, 1, 1]}
		encoded: op.#Call & {model: "vae", with: {sample: pixels.out, "noise": spread.out}, outputs: ["latents"]}
		said: op.#Call & {model: "text_encoder", with: "ids": nodes.ids.out, outputs: ["hidden"]}
		left: op.#Mul & {a: encoded.out, b: signal.out}
		added: op.#Mul & {a: noise.out, b: share.out}
		noisy: op.#Add & {a: left.out, b: added.out}
		guess: op.#Call & {model: "unet", with: {sample: noisy.out, timestep: time.out, encoder_hidden_states: said.out}}
	}
	out: nodes.guess.out
}
tuned: train.#Recipe & {
	name: "tuned"
	model: graph: _graph
	models: {
		text_encoder: from: _folder + "/text_encoder"
		unet: from: _folder + "/unet"
		vae: {from: _folder + "/vae", freeze: ["*"]}
	}
	data: train: [{
		files: ["VALUES"], format: "columns"
		columns: {for k in ["pixels", "ids", "spread", "noise", "time", "signal", "share"] {(k): [k]}}
	}]
	batch: {batch: 2, order: "file"}
	objective: {name: "mse", inputs: targets: _graph.nodes.noise.out}
	optimizer: {name: "adamw", lr: 1e-3, eps: 1e-3, weight_decay: 0}
	rates: [{pattern: "text_encoder.*", factor: 0.1}]
	schedule: name: "constant"
	train: {steps: 3, log_every: 1}
	save: {folder: _folder, dtype: "f32"}
}
`

// tunedRecipe is that recipe, on the batches of testdata/golden/finetune.py, with
// some words of it replaced, in turn.
func tunedRecipe(t *testing.T, replaced ...string) string {
	t.Helper()
	const golden = "../../testdata/golden/"
	var list []tensorfile.Tensor
	for name, x := range tensortest.Read(t, golden+"finetune/values.npz") {
		if !strings.HasPrefix(name, "after.") && name != "losses" {
			x.Name = name
			list = append(list, x)
		}
	}
	dir := t.TempDir()
	inputs := filepath.Join(dir, "data.npz")
	if err := tensorfile.Write(inputs, list); err != nil {
		t.Fatal(err)
	}
	text := tuned
	replaced = append(replaced, "FOLDER", golden+"text_to_image/model", "VALUES", inputs)
	for i := 0; i < len(replaced); i += 2 {
		text = strings.ReplaceAll(text, replaced[i], replaced[i+1])
	}
	file := filepath.Join(dir, "tuned.cue")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestModels holds a recipe of several models against steps by PyTorch, and
// looks at the folder that it leaves.
func TestModels(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/"
	folder := golden + "text_to_image/model"
	values := tensortest.Read(t, golden+"finetune/values.npz")
	r := train(t, tunedRecipe(t), t.TempDir())
	for i, want := range values["losses"].Float64s() {
		if got := metrics(t, r.Run)[i]["loss"].(float64); !(math.Abs(got-want) <= 1e-5) {
			t.Errorf("step %d: loss %v, want %v", i+1, got, want)
		}
	}
	after := map[string]tensorfile.Tensor{}
	for _, part := range []struct{ folder, file string }{{"unet", "diffusion_pytorch_model"}, {"text_encoder", "model"}} {
		for name, x := range tensortest.Read(t, filepath.Join(r.Model, part.folder, part.file+".safetensors")) {
			after[part.folder+"."+name] = x
		}
	}
	for name, x := range values {
		if key, ok := strings.CutPrefix(name, "after."); ok {
			if d := worstOf(after[key], x); !(d <= 1e-5) {
				t.Errorf("%s is off by %g", key, d)
			}
		}
	}
	moved(t, folder, golden+"finetune/moved.csv", after)
	same(t, filepath.Join(folder, "vae"), filepath.Join(r.Model, "vae"))
	same(t, filepath.Join(folder, "scheduler"), filepath.Join(r.Model, "scheduler"))
}

// moved compares by how much every weight has changed, in sum and in squares.
func moved(t *testing.T, folder, file string, after map[string]tensorfile.Tensor) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != len(after) {
		t.Fatalf("%d rows for %d weights, %v", len(rows), len(after), err)
	}
	before := map[string]tensorfile.Tensor{}
	for _, part := range []struct{ folder, file string }{{"unet", "diffusion_pytorch_model"}, {"text_encoder", "model"}} {
		for name, x := range tensortest.Read(t, filepath.Join(folder, part.folder, part.file+".safetensors")) {
			before[part.folder+"."+name] = x
		}
	}
	for _, row := range rows {
		was, now := before[row[0]].Float64s(), after[row[0]].Float64s()
		if len(now) == 0 || len(was) != len(now) {
			t.Fatalf("%s has %d values, was %d", row[0], len(now), len(was))
		}
		var sum, squares float64
		for i := range now {
			d := now[i] - was[i]
			sum, squares = sum+d, squares+d*d
		}
		wantSum, _ := strconv.ParseFloat(row[1], 64)
		wantSquares, _ := strconv.ParseFloat(row[2], 64)
		if n := float64(len(now)); math.Abs(sum-wantSum) > 1e-6*n || math.Abs(math.Sqrt(squares/n)-math.Sqrt(wantSquares/n)) > 1e-6 {
			t.Errorf("%s moved by %g, squares %g; want %g, %g", row[0], sum, squares, wantSum, wantSquares)
		}
	}
}

// same wants the files of a folder to be those of another.
func same(t *testing.T, a, b string) {
	t.Helper()
	entries, err := os.ReadDir(a)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		x, err := os.ReadFile(filepath.Join(a, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if y, err := os.ReadFile(filepath.Join(b, e.Name())); err != nil || string(x) != string(y) {
			t.Errorf("%s is not what it was, %v", e.Name(), err)
		}
	}
}
