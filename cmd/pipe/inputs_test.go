package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupted starts a run and interrupts it once it has made a checkpoint.
func interrupted(t *testing.T, runs string, args ...string) {
	t.Helper()
	cmd := pipeProcess(t, append([]string{"run", "--quiet", "--runs", runs}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		list, err := filepath.Glob(filepath.Join(runs, "*", "checkpoints", "step-*", "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("it ends without a checkpoint: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Fatal("the run was not interrupted")
	}
}

// copyFolder copies the files of a folder.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// flip changes the last byte of a file.
func flip(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestChangedInputs checks that a run does not go on with another base or other
// data than it began with, says which, and goes on when they are back; and that
// a finished run does not claim to be what they would give.
func TestChangedInputs(t *testing.T) {
	t.Parallel()
	base, runs := copyFolder(t, goldenText), t.TempDir()
	rows := instructions(t)
	args := func(steps string) []string {
		return []string{"../../recipes/llama3-finetune.cue", "--set", "model.from=" + base,
			"--set", `data.train=[{files: ["` + rows + `"], format: "alpaca", validation: 0.2}]`, "--set", "batch.seq=128",
			"--set", "train={steps: " + steps + "}", "--set", "schedule.warmup_steps=2", "--set", "save.every=1"}
	}
	interrupted(t, runs, args("100000")...)
	weights := filepath.Join(base, "model.safetensors")
	again := append([]string{"run", "--quiet", "--runs", runs}, args("100000")...)
	for _, file := range []string{weights, rows} {
		flip(t, file)
		if file == rows { // still JSON
			flip(t, file)
			text, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, append(text, '\n'), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		code, out, errs := pipeCommand(again...)
		if code != exitData || out != "" || !strings.HasSuffix(errs, ": this run can't go on: "+file+" has changed since it began; bring back what was, or remove the folder to begin anew\n") {
			t.Errorf("with another %s: exit code %d: %s%s", file, code, out, errs)
		}
		if file == weights {
			flip(t, file)
		}
	}
	done := train(t, args("2")[0], runs, args("2")[1:]...)
	flip(t, weights)
	code, _, errs := pipeCommand(append([]string{"run", "--quiet", "--runs", runs}, args("2")...)...)
	want := done.Run + ": this run is finished, but was made of other files: " + weights + " has changed; remove the folder, or change the document's name, to train again\n"
	if code != exitUsage || errs != want {
		t.Errorf("a finished run of another base: exit code %d: %swant %s", code, errs, want)
	}
}
