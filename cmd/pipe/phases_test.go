package main

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/journal"
	"pipe.dev/executor/tensorfile"
)

// inRoot runs the rest of a test in the root of the repository, where recipes
// find their data.
func inRoot(t *testing.T) {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
}

// TestGAN checks that two networks that learn against each other end with a
// generator whose points are those of the data: near the eight clusters, and
// near every one of them.
func TestGAN(t *testing.T) {
	inRoot(t)
	r := train(t, "recipes/gan.cue", t.TempDir(), "--set", "train.steps=2000")
	w := map[string][]float64{}
	list, err := tensorfile.Read(filepath.Join(r.Run, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		w[x.Name] = x.Float64s()
	}
	layer := func(name string, x []float64, relu bool) []float64 {
		weight, bias := w["generator."+name+".weight"], w["generator."+name+".bias"]
		y := append([]float64{}, bias...)
		for i := range y {
			for j, v := range x {
				y[i] += weight[i*len(x)+j] * v
			}
			if relu {
				y[i] = max(y[i], 0)
			}
		}
		return y
	}
	const points = 2000
	random := rand.New(rand.NewPCG(5, 6))
	var near [8]int
	all := 0
	for range points {
		x := make([]float64, 8)
		for i := range x {
			x[i] = random.NormFloat64()
		}
		p := layer("out", layer("hidden", layer("in", x, true), true), false)
		for i := range near {
			angle := float64(i) * math.Pi / 4
			if math.Hypot(p[0]-math.Cos(angle), p[1]-math.Sin(angle)) < 0.25 { // five deviations of a cluster
				near[i]++
				all++
			}
		}
	}
	if all < points*3/4 {
		t.Errorf("%d of %d made points are near a cluster", all, points)
	}
	for i, n := range near {
		if n < points/8/4 {
			t.Errorf("only %d of %d points are near cluster %d: %v", n, points, i, near)
		}
	}
}

// TestPhasesResume checks that a run of two parts, one of which takes its turn
// every third step, goes on bit for bit, and notes the loss of each.
func TestPhasesResume(t *testing.T) {
	inRoot(t)
	text, err := os.ReadFile("recipes/gan.cue")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`name: "generator"`, `name: "generator", every: 3`}, {"steps: 3000, log_every: 250", "steps: 40, log_every: 1, accumulate: 2"},
		{`schedule: name: "constant"`, `schedule: name: "linear"`}} {
		if !bytes.Contains(text, []byte(change[0])) {
			t.Fatalf("the recipe has no %s", change[0])
		}
		text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
	}
	file := filepath.Join(t.TempDir(), "gan.cue")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	whole := train(t, file, t.TempDir(), "--set", "save.every=15")
	runs := t.TempDir()
	again := train(t, file, runs, "--set", "save.every=15")
	// As if it had been killed after step 30.
	unfinish(t, filepath.Join(again.Run, "run.json"))
	if err := os.RemoveAll(filepath.Join(again.Run, "checkpoints", "step-00000040")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(again.Run, "model")); err != nil {
		t.Fatal(err)
	}
	resumed := train(t, file, runs, "--set", "save.every=15")
	if !bytes.Equal(weightsOf(t, whole.Run), weightsOf(t, resumed.Run)) {
		t.Error("a run that went on has other weights than one that was never stopped")
	}
	rows, err := journal.ReadMetrics(whole.Run)
	if err != nil {
		t.Fatal(err)
	}
	turns := 0
	for _, row := range rows {
		if _, ok := row.Values["loss/generator"]; ok { // its schedule goes by its own turns, of 14
			if lr, want := row.Values["lr/generator"], 1e-3*float64(14-turns)/14; math.Abs(lr-want) > 1e-9 {
				t.Errorf("the rate of turn %d is %v, want %v", turns+1, lr, want)
			}
			turns++
		}
		if _, ok := row.Values["loss/discriminator"]; !ok {
			t.Errorf("step %d has no loss of the discriminator", row.Step)
		}
	}
	if turns != 14 { // steps 1, 4, ... 40
		t.Errorf("the generator had %d turns of 40 steps, want 14", turns)
	}
}

// unfinish makes a finished run one that was interrupted.
func unfinish(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	about := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	if _, ok := about["finished"]; err != nil || !ok {
		t.Fatalf("%v: %s", err, text)
	}
	delete(about, "finished")
	if text, err = json.Marshal(about); err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
