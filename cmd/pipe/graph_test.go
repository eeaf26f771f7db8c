package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

const graphs = "../../testdata/golden/onnx/graphs"

// graphCase is a model of cases.json.
type graphCase struct {
	Fix       []string `json:"fix"`
	Tolerance float64  `json:"tolerance"`
}

// Graphs of ONNX files become documents that check, plan and run, and give the
// values of onnxruntime.
func TestGraphs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(graphs, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases map[string]graphCase `json:"cases"`
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all.Cases) < 15 {
		t.Fatal(err, len(all.Cases))
	}
	for name, c := range all.Cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareGraph(t, filepath.Join(graphs, name+".onnx"), tensortest.Read(t, filepath.Join(graphs, name+".safetensors")), c)
		})
	}
}

// The real voice detector: an If on the sample rate, a recurrent layer, a state.
func TestSilero(t *testing.T) {
	t.Parallel()
	root := os.Getenv("PIPE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	file := filepath.Join(root, "audio", "silero_vad.onnx")
	if _, err := os.Stat(file); err != nil {
		t.Skipf("no model: %v (set PIPE_DATA)", err)
	}
	for _, rate := range []struct{ rate, size string }{{"16000", "576"}, {"8000", "288"}} {
		values := tensortest.Read(t, filepath.Join(graphs, "silero_"+rate.rate+".safetensors"))
		compareGraph(t, file, values, graphCase{Fix: []string{"sr=" + rate.rate, "input_0=batch", "state_1=batch", "input_1=" + rate.size}})
	}
	for _, c := range []struct {
		fix  []string
		fact string
	}{
		{nil, "its condition follows from inputs"},
		{[]string{"sr=16000"}, "input_1"},
		{[]string{"rate=16000"}, `--fix "rate": there is no input and no size of that name; there are the inputs input, state, sr and the sizes input_0, input_1, state_1`},
		{[]string{"sr=16000", "input_0=0"}, "--fix input_0 is 0, want a size"},
	} {
		args := []string{"convert", file, filepath.Join(t.TempDir(), "out")}
		for _, f := range c.fix {
			args = append(args, "--fix", f)
		}
		code, _, errs := pipeCommand(args...)
		if code != 5 || !strings.Contains(errs, c.fact) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v gives %d: %s; want %q", c.fix, code, errs, c.fact)
		}
	}
}

// compareGraph imports a file, runs the document, and compares its outputs.
func compareGraph(t *testing.T, file string, values map[string]tensorfile.Tensor, c graphCase) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "model")
	args := []string{"convert", file, folder, "--quiet"}
	for _, f := range c.Fix {
		args = append(args, "--fix", f)
	}
	if code, _, errs := pipeCommand(args...); code != 0 {
		t.Fatalf("convert gives %d: %s", code, errs)
	}
	document := filepath.Join(folder, "model.cue")
	whole := len(c.Fix) > 0 // once or twice is enough
	if whole {
		if code, _, errs := pipeCommand("check", document); code != 0 {
			t.Fatalf("check gives %d: %s", code, errs)
		}
	}
	var set []string
	for name, x := range values {
		input, ok := strings.CutPrefix(name, "in.")
		if fixed := slices.ContainsFunc(c.Fix, func(f string) bool { return strings.HasPrefix(f, input+"=") }); !ok || fixed {
			continue
		}
		at := filepath.Join(folder, "in-"+input+".npy")
		if err := tensorfile.Write(at, []tensorfile.Tensor{x}); err != nil {
			t.Fatal(err)
		}
		set = append(set, "--set", input+"="+at)
	}
	if whole {
		if code, _, errs := pipeCommand(append([]string{"plan", document, "--time=false"}, set...)...); code != 0 {
			t.Fatalf("plan gives %d: %s", code, errs)
		}
	}
	out := filepath.Join(folder, "out.npz")
	if code, _, errs := pipeCommand(append([]string{"run", document, "--quiet", "--out", out}, set...)...); code != 0 {
		t.Fatalf("run gives %d: %s", code, errs)
	}
	got := tensortest.Read(t, out)
	compared := 0
	for name, want := range values {
		output, ok := strings.CutPrefix(name, "out.")
		if !ok {
			continue
		}
		compared++
		compareValues(t, output, got[output], want, max(c.Tolerance, 1e-4))
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// compareValues holds elements against those of the reference, relative to the
// greatest of them.
func compareValues(t *testing.T, name string, got, want tensorfile.Tensor, tolerance float64) {
	t.Helper()
	have, w := got.Float64s(), want.Float64s()
	if len(have) != len(w) || got.Type.String()[strings.IndexByte(got.Type.String(), '['):] != want.Type.String()[strings.IndexByte(want.Type.String(), '['):] {
		t.Errorf("%s is %v, want %v", name, got.Type, want.Type)
		return
	}
	scale := 1e-3
	for _, x := range w {
		if !math.IsInf(x, 0) && !math.IsNaN(x) {
			scale = max(scale, math.Abs(x))
		}
	}
	for i := range w {
		if d := math.Abs(have[i] - w[i]); !(d <= tolerance*scale) && have[i] != w[i] && !(math.IsNaN(have[i]) && math.IsNaN(w[i])) {
			t.Errorf("%s[%d] is %v, want %v", name, i, have[i], w[i])
			return
		}
	}
}
