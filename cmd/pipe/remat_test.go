package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// planned is what pipe plan says of a recipe.
type planned struct {
	Peak  int64 `json:"peak_bytes"`
	Plans []struct {
		Name  string `json:"name"`
		Again *struct {
			Blocks []string `json:"blocks"`
			FLOPs  int64    `json:"flops"`
		} `json:"computed_anew"`
	} `json:"plans"`
}

// blocks are those that a phase computes anew.
func (p planned) blocks(phase string) int {
	for _, x := range p.Plans {
		if x.Name == phase && x.Again != nil {
			return len(x.Again.Blocks)
		}
	}
	return 0
}

func planOf(t *testing.T, file string, flags ...string) (p planned, errs string) {
	t.Helper()
	code, out, errs := pipeCommand(append([]string{"plan", file, "--json", "--runs", t.TempDir()}, flags...)...)
	if err := json.Unmarshal([]byte(out), &p); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
	}
	return p, errs
}

// TestRemat checks that a run which computes values anew ends with the same
// bits, and that as much is computed anew as makes a run fit, in both ways to
// make a step.
func TestRemat(t *testing.T) {
	t.Parallel()
	for name, accumulate := range map[string]int{"step": 1, "accumulate": 2} {
		recipe := func(remat string) string {
			return tinyRecipe(t, "num_hidden_layers:       2", "num_hidden_layers:       4", "steps: 60", "steps: 12",
				"log_every: 5", fmt.Sprintf("log_every: 5, accumulate: %d, remat: %q", accumulate, remat))
		}
		none, block, auto := recipe("none"), recipe("block"), recipe("auto")
		most, _ := planOf(t, none)
		least, _ := planOf(t, block)
		if n := least.blocks(name); n != 4 || most.blocks(name) != 0 || least.Peak >= most.Peak {
			t.Fatalf("%s: peak %d with %d blocks computed anew, %d with none", name, least.Peak, n, most.Peak)
		}
		limit := (least.Peak + most.Peak) / 2
		mem := fmt.Sprintf("%dB", limit)
		some, errs := planOf(t, auto, "--mem", mem)
		if n := some.blocks(name); n == 0 || n == 4 || some.Peak > limit || errs != "" {
			t.Errorf("%s: %d blocks are computed anew and %d of %d bytes needed; %s", name, n, some.Peak, limit, errs)
		}
		_, errs = planOf(t, none, "--mem", mem)
		if !strings.Contains(errs, "--set train.remat=auto") || !strings.Contains(errs, "are allowed") {
			t.Errorf("%s: a plan that does not fit says %q", name, errs)
		}
		want := weightsOf(t, train(t, none, t.TempDir(), "--threads", "1").Run)
		if accumulate == 1 && !bytes.Equal(weightsOf(t, train(t, block, t.TempDir(), "--threads", "2").Run), want) {
			t.Errorf("%s: other weights where every block is computed anew", name)
		}
		if !bytes.Equal(weightsOf(t, train(t, auto, t.TempDir(), "--mem", mem).Run), want) {
			t.Errorf("%s: other weights where some blocks are computed anew", name)
		}
	}
}

// TestRematNothing checks that a model without layers that repeat says so.
func TestRematNothing(t *testing.T) {
	t.Chdir("../..")
	code, _, errs := pipeCommand("plan", "recipes/gan.cue", "--set", "train.remat=block", "--runs", t.TempDir())
	if code != exitDocument || !strings.Contains(errs, "the model has no op.#Repeat that is trained") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
