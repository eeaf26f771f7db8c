package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// instructions is a file of examples for fine-tuning.
func instructions(t *testing.T) string {
	t.Helper()
	var rows []map[string]string
	for i := range 24 {
		rows = append(rows, map[string]string{"instruction": fmt.Sprintf("Say %d", i), "output": "the cat"})
	}
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rows.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// finetune runs one of the recipes on the golden model for a few steps.
func finetune(t *testing.T, recipe, runs string, more ...string) trained {
	t.Helper()
	args := []string{"--set", "model.from=" + goldenText,
		"--set", `data.train=[{files: ["` + instructions(t) + `"], format: "alpaca", validation: 0.2}]`,
		"--set", "batch.seq=128", "--set", "train.steps=40", "--set", "optimizer.lr=0.01", "--set", "schedule.warmup_steps=2",
		"--set", "train.accumulate=1", "--set", "train.log_every=1"}
	return train(t, "../../recipes/"+recipe, runs, append(args, more...)...)
}

// TestFullFinetune checks that the recipe learns the answers.
func TestFullFinetune(t *testing.T) {
	r := finetune(t, "full-finetune.cue", t.TempDir(), "--set", "optimizer.lr=0.003")
	if r.Steps != 40 || !(r.Eval < 1) {
		t.Errorf("%+v: want a loss below 1", r)
	}
	// The model that it wrote is in f32: its weights must not be trained where
	// they lie in the file.
	before := weightsOf(t, r.Run)
	again := finetune(t, "full-finetune.cue", t.TempDir(), "--set", "train.steps=3", "--set", "model.from="+r.Model)
	if again.Steps != 3 || !bytes.Equal(weightsOf(t, r.Run), before) {
		t.Errorf("%+v: training from an f32 folder changes it, or fails", again)
	}
}

// TestAdapterFinetune checks the recipe with an adapter: it learns, the base
// stays as it is bit for bit, the adapter is written as PEFT has it, and the
// merged model is what was trained.
func TestAdapterFinetune(t *testing.T) {
	r := finetune(t, "llama3-finetune.cue", t.TempDir(), "--set", "model.adapter.rank=4")
	if r.Steps != 40 || !(r.Eval < 1) {
		t.Errorf("%+v: want a loss below 1", r)
	}
	base, merged := named(t, filepath.Join(goldenText, "model.safetensors")), named(t, filepath.Join(r.Model, "model.safetensors"))
	adapter := named(t, filepath.Join(r.Run, "adapter", "adapter_model.safetensors"))
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(r.Run, "adapter", "adapter_config.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil || config["r"] != 4.0 || config["lora_alpha"] != 32.0 || config["peft_type"] != "LORA" {
		t.Errorf("adapter_config.json: %v %s", err, text)
	}
	if len(adapter) != 2*2*7 || len(base) != len(merged) {
		t.Fatalf("%d tensors of the adapter, %d of the model, want 28 and %d", len(adapter), len(merged), len(base))
	}
	for name, x := range base {
		y := merged[name]
		if y.Type.DType != x.Type.DType {
			t.Errorf("%s is %v, and %v in the base", name, y.Type, x.Type)
		}
		path := "base_model.model." + strings.TrimSuffix(name, ".weight")
		a, ok := adapter[path+".lora_A.weight"]
		if !ok {
			if !bytes.Equal(x.Data, y.Data) {
				t.Errorf("%s is not adapted, and has changed", name)
			}
			continue
		}
		b := adapter[path+".lora_B.weight"].Float64s()
		as, w, got := a.Float64s(), x.Float64s(), y.Float64s()
		in, moved := len(as)/4, 0.0
		for i := range w {
			want := w[i]
			for k := range 4 {
				want += 8 * b[i/in*4+k] * as[k*in+i%in]
			}
			if d := math.Abs(got[i] - want); d > math.Abs(want)*0x1p-11+0x1p-25 {
				t.Fatalf("%s[%d] is %v, want %v", name, i, got[i], want)
			}
			moved = math.Max(moved, math.Abs(want-w[i]))
		}
		if moved == 0 {
			t.Errorf("%s has not moved", name)
		}
	}
	if list, _ := filepath.Glob(filepath.Join(r.Run, "checkpoints", "*", "model.safetensors")); len(list) == 0 || len(named(t, list[0])) != 28 {
		t.Errorf("checkpoints hold more than the adapter: %v", list)
	}
	code, out, errs := pipeCommand("run", "../../pipelines/complete.cue", "--quiet", "--set", "model="+r.Model, "--set", "temperature=0",
		"--set", "prompt=Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay 3\n\n### Response:\n", "--set", "max_tokens=8")
	if code != 0 || !strings.Contains(out, "the cat") {
		t.Errorf("the merged model answers %q: exit code %d, %s", out, code, errs)
	}
}
