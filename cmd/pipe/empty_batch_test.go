package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answers is a file of examples: the prompts of those that answered says no of
// are longer than a row, so that nothing of their answers is left.
func answers(t *testing.T, n int, answered func(i int) bool) string {
	t.Helper()
	var rows []map[string]string
	for i := range n {
		row := map[string]string{"instruction": fmt.Sprintf("Say %d", i), "output": "the cat"}
		if !answered(i) {
			row["instruction"] = strings.Repeat("Once upon a time. ", 40)
		}
		rows = append(rows, row)
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

func answerFlags(file string, more ...string) []string {
	return append([]string{"--set", "model.from=" + goldenText, "--set", `data.train=[{files: ["` + file + `"], format: "alpaca"}]`,
		"--set", `batch={batch: 1, seq: 128, rows: "pad", long: "cut", order: "file"}`, "--set", "train={steps: 6, log_every: 1}",
		"--set", `schedule={name: "constant"}`, "--set", "eval.every=0"}, more...)
}

// TestEmptyBatches checks that a batch whose answers were cut off is passed
// over: what is learnt is what is learnt without it.
func TestEmptyBatches(t *testing.T) {
	t.Parallel()
	const recipe = "../../recipes/full-finetune.cue"
	all := train(t, recipe, t.TempDir(), answerFlags(answers(t, 6, func(int) bool { return true }))...)
	code, out, errs := pipeCommand(append([]string{"run", recipe, "--runs", t.TempDir()},
		answerFlags(answers(t, 12, func(i int) bool { return i < 6 }), "--set", "train.steps=7")...)...)
	if code != 0 || !strings.Contains(errs, "rows.json: by step 7, 6 batches had no token that is trained, and were skipped") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	rows := metrics(t, strings.TrimSpace(out))
	if float32(rows[5]["loss"].(float64)) != float32(all.Loss) || rows[5]["skipped_batches"] != nil || rows[6]["skipped_batches"] != 6.0 {
		t.Errorf("rows are %v, want the 6th with loss %v, and the 7th after 6 skipped batches", rows, all.Loss)
	}
	code, out, errs = pipeCommand(append([]string{"run", recipe, "--runs", t.TempDir(), "--quiet"}, answerFlags(answers(t, 6, func(int) bool { return false }))...)...)
	if code != exitData || out != "" || !strings.HasSuffix(errs, "rows.json: none of the 6 batches of an epoch has a token that is trained\n") {
		t.Errorf("without a single answer: exit code %d: %s%s", code, out, errs)
	}
	// Data that end after as many batches as steps, some of them empty.
	code, out, errs = pipeCommand(append([]string{"run", recipe, "--runs", t.TempDir(), "--quiet"},
		answerFlags(answers(t, 6, func(i int) bool { return i != 2 }), "--set", "batch.epochs=1")...)...)
	if code != exitData || out != "" || !strings.HasSuffix(errs, "rows.json: the training data end after 5 of 6 steps\n") {
		t.Errorf("data that end: exit code %d: %s%s", code, out, errs)
	}
}

// TestEmptyMicroBatch checks that a micro-batch with nothing to train adds
// nothing to its step.
func TestEmptyMicroBatch(t *testing.T) {
	t.Parallel()
	const recipe = "../../recipes/full-finetune.cue"
	odd := func(i int) bool { return i%4 != 1 }
	whole := train(t, recipe, t.TempDir(), answerFlags(answers(t, 24, odd), "--set", "batch.batch=4")...)
	parts := train(t, recipe, t.TempDir(), answerFlags(answers(t, 24, odd), "--set", "train.accumulate=4")...)
	if d := whole.Loss - parts.Loss; d > 1e-5 || d < -1e-5 {
		t.Errorf("losses are %v and %v", whole.Loss, parts.Loss)
	}
}
