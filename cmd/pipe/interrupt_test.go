package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEvaluationInterrupted interrupts a run that evaluates most of its time,
// again and again: in the end its metrics are those of a run that never
// stopped, the evaluations among them.
func TestEvaluationInterrupted(t *testing.T) {
	file := tinyRecipe(t, "validation: 0.1", "validation: 0.5", "steps: 60", "steps: 4", "every: 30, batches: 4", "every: 1")
	want := metrics(t, train(t, file, t.TempDir()).Run)
	if len(want) != 4 {
		t.Fatalf("%d rows, want one for each of 4 evaluations", len(want))
	}
	runs := t.TempDir()
	for try := range 60 {
		cmd := pipeProcess(t, "run", file, "--runs", runs, "--quiet")
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v: %s", err, errs.String())
			}
		case <-time.After(time.Duration(250+50*try) * time.Millisecond):
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				if errs.String() != "interrupted\n" {
					t.Fatalf("%v: %s", err, errs.String())
				}
				continue
			}
		}
		folders, err := filepath.Glob(filepath.Join(runs, "tiny-*"))
		if err != nil || len(folders) != 1 {
			t.Fatal(folders, err)
		}
		got := metrics(t, folders[0])
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("row %d is %v, want %v", i, got[i], want[i])
			}
		}
		return
	}
	t.Fatal("the run never ends")
}

// metrics are the rows of a run without what time they took.
func metrics(t *testing.T, run string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for line := range strings.Lines(string(text)) {
		row := map[string]any{}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"time", "tokens_per_second", "eval_seconds"} {
			delete(row, name)
		}
		rows = append(rows, row)
	}
	return rows
}
