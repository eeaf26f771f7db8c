package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/adapter"
	"pipe.dev/executor/tensorfile/tensortest"
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
	t.Parallel()
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

// TestAdapterDropout checks that what is left out does not depend on threads,
// and that it is left out of steps alone: a model that learns nothing evaluates
// as it does without.
func TestAdapterDropout(t *testing.T) {
	t.Parallel()
	run := func(threads string, more ...string) trained {
		return finetune(t, "llama3-finetune.cue", t.TempDir(), append([]string{"--threads", threads, "--set", "train.steps=6",
			"--set", "model.adapter.rank=4", "--set", "model.adapter.dora=true"}, more...)...)
	}
	adapter := func(r trained) []byte {
		data, err := os.ReadFile(filepath.Join(r.Run, "adapter", "adapter_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	plain, one, three := run("2"), run("1", "--set", "model.adapter.dropout=0.5"), run("3", "--set", "model.adapter.dropout=0.5")
	if !bytes.Equal(adapter(one), adapter(three)) || one.Eval != three.Eval {
		t.Error("one thread and three leave out other elements")
	}
	if bytes.Equal(adapter(one), adapter(plain)) {
		t.Error("nothing is left out")
	}
	still := []string{"--set", "optimizer.lr=1e-30"}
	if a, b := run("2", still...), run("2", append(still, "--set", "model.adapter.dropout=0.5")...); a.Eval != b.Eval {
		t.Errorf("evaluations leave out: %v and %v", a.Eval, b.Eval)
	}
}

// TestAdapterFinetune checks the recipe with an adapter: it learns, the base
// stays as it is bit for bit, the adapter is written as PEFT has it, and the
// merged model is what was trained.
func TestAdapterFinetune(t *testing.T) {
	t.Parallel()
	r := finetune(t, "llama3-finetune.cue", t.TempDir(), "--set", "model.adapter.rank=4")
	if r.Steps != 40 || !(r.Eval < 1) {
		t.Errorf("%+v: want a loss below 1", r)
	}
	base, merged := tensortest.Read(t, filepath.Join(goldenText, "model.safetensors")), tensortest.Read(t, filepath.Join(r.Model, "model.safetensors"))
	adapter := tensortest.Read(t, filepath.Join(r.Run, "adapter", "adapter_model.safetensors"))
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
	if list, _ := filepath.Glob(filepath.Join(r.Run, "checkpoints", "*", "model.safetensors")); len(list) == 0 || len(tensortest.Read(t, list[0])) != 28 {
		t.Errorf("checkpoints hold more than the adapter: %v", list)
	}
	code, out, errs := pipeCommand("run", "../../pipelines/complete.cue", "--quiet", "--set", "model="+r.Model, "--set", "temperature=0",
		"--set", "prompt=Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay 3\n\n### Response:\n", "--set", "max_tokens=8")
	if code != 0 || !strings.Contains(out, "the cat") {
		t.Errorf("the merged model answers %q: exit code %d, %s", out, code, errs)
	}
}

// TestAdapterGoesOn trains on from an adapter: of this command's own making it
// begins where that ended, and one of PEFT keeps ranks, scales and magnitudes.
func TestAdapterGoesOn(t *testing.T) {
	t.Parallel()
	first := finetune(t, "llama3-finetune.cue", t.TempDir(), "--set", "model.adapter.rank=4", "--set", "train.steps=10")
	from := filepath.Join(first.Run, "adapter")
	still := []string{"--set", "optimizer.lr=1e-30", "--set", "train.steps=2"}
	same := finetune(t, "llama3-finetune.cue", t.TempDir(), append(still, "--set", "model.adapter={from: \""+from+"\"}")...)
	for _, name := range []string{"adapter/adapter_model.safetensors", "model/model.safetensors"} {
		was, now := tensortest.Read(t, filepath.Join(first.Run, name)), tensortest.Read(t, filepath.Join(same.Run, name))
		if len(was) != len(now) {
			t.Errorf("%s: %d tensors become %d", name, len(was), len(now))
		}
		for path, x := range was {
			if !bytes.Equal(x.Data, now[path].Data) {
				t.Fatalf("%s: %s has changed", name, path)
			}
		}
	}
	more := finetune(t, "llama3-finetune.cue", t.TempDir(), "--set", "model.adapter={from: \""+from+"\"}", "--set", "train.steps=10", "--set", "schedule.warmup_steps=0")
	if !(more.Eval < first.Eval) {
		t.Errorf("training on takes the loss from %v to %v", first.Eval, more.Eval)
	}

	for name, base := range map[string]string{"dora": "llama", "pattern": "qwen2"} {
		from := "../../testdata/golden/adapter/" + name
		r := train(t, tinyRecipe(t, "model: config: {", "model: {from: \"../../testdata/golden/arch/"+base+"\", adapter: from: \""+from+"\"}\n\t_old: {"),
			t.TempDir(), "--set", "train.steps=3", "--set", "optimizer.lr=0.01")
		a, err := adapter.Open(filepath.Join(r.Run, "adapter"))
		if err != nil {
			t.Fatal(err)
		}
		was, err := adapter.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Layers, was.Layers) {
			t.Errorf("%s: layers %+v, want %+v", name, a.Layers, was.Layers)
		}
		before, after := tensortest.Read(t, filepath.Join(from, "adapter_model.safetensors")), tensortest.Read(t, filepath.Join(r.Run, "adapter", "adapter_model.safetensors"))
		for path, x := range before {
			if bytes.Equal(x.Data, after[path].Data) {
				t.Errorf("%s: %s has not moved", name, path)
			}
		}
		if err := errors.Join(a.Close(), was.Close()); err != nil {
			t.Error(err)
		}
	}

	recipe := "../../recipes/llama3-finetune.cue"
	data := `data.train=[{files: ["` + instructions(t) + `"], format: "alpaca", validation: 0.2}]`
	misfit := tinyRecipe(t, "model: config: {", "model: {from: \"../../testdata/golden/arch/llama31\", adapter: from: \"../../testdata/golden/adapter/lora\"}\n\t_old: {")
	code, _, errs := pipeCommand("run", misfit, "--runs", t.TempDir(), "--quiet")
	if code != exitData || !strings.Contains(errs, `v_proj.lora_B.weight" has shape [24 4], want [12 4]`) {
		t.Errorf("an adapter of another model: exit code %d, %s", code, errs)
	}
	for args, want := range map[string]string{
		`model.adapter={from: "` + from + `", rank: 8}`: "rank: is that of " + from + ", the adapter that is trained on: leave it out",
		`model.adapter={from: "nosuch"}`:                "nosuch: no such file or folder",
	} {
		code, _, errs := pipeCommand("run", recipe, "--runs", t.TempDir(), "--quiet", "--set", "model.from="+goldenText, "--set", data, "--set", "batch.seq=128", "--set", args)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %s; want %s", args, code, errs, want)
		}
	}
}
