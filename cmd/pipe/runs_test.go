package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunsLive watches a run of another process: it is seen as running, its
// rows come as they are written, and the watch ends with it.
func TestRunsLive(t *testing.T) {
	file, runs := tinyRecipe(t, "steps: 60", "steps: 100000"), t.TempDir()
	live := pipeProcess(t, "run", file, "--runs", runs, "--quiet")
	if err := live.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = live.Process.Kill() // it may have ended by itself
			_ = live.Wait()
		}
	}
	defer end()
	for found := false; !found; {
		list, err := filepath.Glob(filepath.Join(runs, "tiny-*", "run.json"))
		if err != nil {
			t.Fatal(err)
		}
		found = len(list) == 1
	}
	code, out, errs := pipeCommand("runs", "--runs", runs, "--json")
	var list []struct{ State string }
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 1 || list[0].State != "running" {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
	}
	watch := pipeProcess(t, "runs", "--runs", runs, "--watch")
	var log strings.Builder
	watch.Stderr = &log
	stdout, err := watch.StdoutPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s := bufio.NewScanner(stdout); s.Scan(); n++ {
		if !strings.HasPrefix(s.Text(), "step ") || !strings.Contains(s.Text(), "/100000  loss ") {
			t.Errorf("line %q", s.Text())
		}
		if n == 14 { // more than the last ten rows
			end()
		}
	}
	if err := watch.Wait(); err != nil || n < 15 || !strings.Contains(log.String(), `msg="is interrupted"`) {
		t.Errorf("%d lines, %v: %s", n, err, log.String())
	}
}

// TestRuns compares runs by their names.
func TestRuns(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	file := tinyRecipe(t, "steps: 60", "steps: 10")
	a := train(t, file, runs)
	b := train(t, file, runs, "--set", "optimizer.lr=0.01")
	picture := filepath.Join(t.TempDir(), "both.png")
	code, out, errs := pipeCommand("runs", "tiny", "--runs", runs, "--plot", picture)
	for _, want := range []string{"tokens per second ", "memory ", "tiny.optimizer.lr 0.003 0.01", filepath.Base(a.Run)[5:], filepath.Base(b.Run)[5:]} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("exit code %d, no %q: %s%s", code, want, out, errs)
		}
	}
	if data, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(data), "\x89PNG") {
		t.Errorf("the picture is none: %v", err)
	}
	code, out, _ = pipeCommand("runs", b.Run, "--json")
	var c struct {
		Runs []struct {
			Best *float64           `json:"best_loss"`
			Last map[string]float64 `json:"last"`
		}
	}
	if err := json.Unmarshal([]byte(out), &c); code != 0 || err != nil || len(c.Runs) != 1 || c.Runs[0].Best == nil || c.Runs[0].Last["memory"] == 0 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	for _, args := range [][]string{{"tine"}, {"--watch"}} {
		code, out, errs := pipeCommand(append([]string{"runs", "--runs", runs}, args...)...)
		if code != exitData || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"--sort", "los"}, {"--plot", picture}, {"--watch", "a", "b"}, {"tiny", "--plot", picture, "--value", "x"}} {
		code, out, errs := pipeCommand(append([]string{"runs", "--runs", runs}, args...)...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errs)
		}
	}
}
