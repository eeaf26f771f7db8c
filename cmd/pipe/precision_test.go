package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile/tensortest"
)

// TestTrainPrecision checks that narrow precision learns what f32 does, with
// the same bits for any number of threads, in less memory; and that a loss
// scale that is too high costs steps, but no more.
func TestTrainPrecision(t *testing.T) {
	t.Parallel()
	run := func(threads string, change ...string) trained {
		return train(t, tinyRecipe(t, change...), t.TempDir(), "--threads", threads)
	}
	f32 := plainOf(t)
	for _, precision := range []string{`precision: "bf16"`, `precision: "f16", loss_scale: {init: 1e9, interval: 10}`} {
		a := run("1", "eval: {", precision+"\n\teval: {")
		b := run("3", "eval: {", precision+"\n\teval: {")
		if !bytes.Equal(weightsOf(t, a.Run), weightsOf(t, b.Run)) {
			t.Errorf("%s: one thread and three give different weights", precision)
		}
		if d := a.Eval - f32.Eval; d > 0.2 || d < -0.2 {
			t.Errorf("%s: the loss is %v, in f32 %v", precision, a.Eval, f32.Eval)
		}
		metrics, err := os.ReadFile(filepath.Join(a.Run, "metrics.jsonl"))
		if err != nil || strings.Contains(string(metrics), `"skipped_steps":`) != strings.HasPrefix(precision, `precision: "f16"`) {
			t.Errorf("%s: metrics %v\n%s", precision, err, metrics)
		}
	}
}

// TestTrainBroken checks that a model in f16 that overflows whatever the scale
// is stops with the line where it began.
func TestTrainBroken(t *testing.T) {
	t.Parallel()
	file := tinyRecipe(t, "vocab_size:              96", "vocab_size: 96, rms_norm_eps: 1e-5", "tokenizer: \"characters\"", "tokenizer: \"characters\"",
		"model: config: {", "model: std: 0.9\n\tmodel: config: {", "lr: 3e-3", "lr: 10", "eval: {", "precision: \"f16\"\n\teval: {")
	code, _, errs := pipeCommand("run", file, "--runs", t.TempDir())
	if code != exitNumeric || !strings.Contains(errs, "is NaN or infinite") {
		t.Errorf("exit code %d, want %d: %s", code, exitNumeric, errs)
	}
}

// TestTrainAverage checks that a finished model is the average, not the last
// weights, and that the evaluation is that of the average.
func TestTrainAverage(t *testing.T) {
	t.Parallel()
	last := plainOf(t)
	average := train(t, tinyRecipe(t, "eval: {", "ema: decay: 0.8\n\teval: {"), t.TempDir())
	apart := train(t, tinyRecipe(t, "eval: {", "ema: {decay: 0.8, evaluate: false, export: false}\n\teval: {"), t.TempDir())
	if !bytes.Equal(weightsOf(t, apart.Run), last.weights) || apart.Eval != last.Eval {
		t.Error("averages that are only kept change the model")
	}
	if bytes.Equal(weightsOf(t, average.Run), last.weights) || average.Eval == last.Eval || average.Eval > last.Eval+0.2 {
		t.Errorf("the loss of the average is %v, of the last weights %v", average.Eval, last.Eval)
	}
	kept := tensortest.Read(t, filepath.Join(average.Run, "checkpoints", "step-00000060", "optimizer.safetensors"))
	for name, x := range tensortest.Read(t, filepath.Join(average.Run, "model", "model.safetensors")) {
		if avg, ok := kept[name+"#ema"]; !ok || !bytes.Equal(avg.Data, x.Data) {
			t.Errorf("%s is not its average", name)
		}
	}
}
