//go:build linux && (amd64 || arm64)

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

	"pipe.dev/kernels/cuda/emulator"
)

// rowsOf reads the metrics of a run, those that time decides left out.
func rowsOf(t *testing.T, run string) []map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]float64
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatal(err)
		}
		row := map[string]float64{}
		for _, name := range []string{"step", "loss", "grad_norm", "eval_loss", "memory", "tokens"} {
			if x, ok := all[name].(float64); ok {
				row[name] = x
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Training on the emulated device, of micro-batches and with evaluations: losses are the processor's but for
// rounding, batches are copied while the device computes, the device holds at most what the plan says, to the
// byte, and a run whose device was lost goes on from its checkpoint to the same bits.
func TestTrainCUDA(t *testing.T) { trainOnCUDA(t, "none") }

// The same where the optimizer stays on the host, beside the device.
func TestTrainApartCUDA(t *testing.T) { trainOnCUDA(t, "optimizer") }

func trainOnCUDA(t *testing.T, offload string) {
	library := emulator.Library(t, "../../kernels/cuda") // once it is open, it is found by its name
	set := func(settings string) {
		t.Helper()
		if err := emulator.Set(library, settings); err != nil {
			t.Fatal(err)
		}
	}
	count := func(what string) uint64 {
		t.Helper()
		n, err := emulator.Count(library, what)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	set("")
	file := tinyRecipe(t, "num_hidden_layers:       2", "num_hidden_layers: 1", "batch: 4, seq: 24", "batch: 2, seq: 8", "warmup_steps: 5", "warmup_steps: 0",
		"steps: 60, clip_norm: 1, log_every: 5", fmt.Sprintf("steps: 4, accumulate: 2, clip_norm: 1, log_every: 1, offload: %q", offload), "every: 30, batches: 4", "every: 2, batches: 3", "every: 10", "every: 1")
	code, out, errs := pipeCommand("plan", file, "--json", "--time=false", "--runs", t.TempDir(), "--device", "cuda")
	var plan struct {
		Peak   int64        `json:"peak_bytes"`
		Beyond []beyondJSON `json:"beyond"`
	}
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, errs)
	}
	host := rowsOf(t, train(t, file, t.TempDir()).Run)
	set("")               // the peak begins anew
	lost := count("peak") // with what a device holds that was lost before
	beside := count("beside")
	whole := train(t, file, t.TempDir(), "--device", "cuda")
	kernels := count("kernels")
	if n := count("beside") - beside; n < 4*2 {
		t.Errorf("%d copies were made beside what was computed", n)
	}
	said := plan.Peak
	for _, b := range plan.Beyond {
		if !b.Host && b.What == "constants of kernels" {
			said += b.Bytes
		}
	}
	if peak := int64(count("peak") - lost); peak != said {
		t.Errorf("the device held %d bytes at most, %d were said: %+v", peak, said, plan)
	}
	rows := rowsOf(t, whole.Run)
	if len(rows) != len(host) || len(rows) < 4 {
		t.Fatalf("%d and %d rows", len(rows), len(host))
	}
	for i, row := range rows {
		for name, want := range host[i] {
			if got := row[name]; name != "memory" && !(math.Abs(got-want) <= 1e-5*math.Abs(want)) {
				t.Errorf("row %d: %s is %v, on the processor %v", i, name, got, want)
			}
		}
	}
	runs := t.TempDir()
	set(fmt.Sprintf("lose=%d", kernels*3/4))
	code, out, errs = pipeCommand("run", file, "--runs", runs, "--quiet", "--device", "cuda")
	if code != exitBug || out != "" || !strings.Contains(errs, "the CUDA device is lost") || strings.Count(errs, "\n") != 1 {
		t.Errorf("a lost device: exit code %d, %s%s", code, out, errs)
	}
	saved, _ := filepath.Glob(filepath.Join(runs, "tiny-*", "checkpoints", "step-*", "model.safetensors"))
	if len(saved) == 0 {
		t.Error("the device was lost before anything was saved")
	}
	set("lose=18446744073709551615")
	again := train(t, file, runs, "--device", "cuda")
	if !bytes.Equal(weightsOf(t, again.Run), weightsOf(t, whole.Run)) {
		t.Error("a run that went on has other weights than one that was not interrupted")
	}
}
