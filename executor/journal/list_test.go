package journal

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someRuns makes a root with a finished, an interrupted, a running and a
// damaged run, and things that are no runs.
func someRuns(t *testing.T) (root string, folders []string) {
	t.Helper()
	root = t.TempDir()
	now := clock()
	make := func(name, hash, document string, steps int64, eval bool) *Run {
		runs := Runs{Root: root, Steps: 100, Now: now}
		run, err := runs.Create(name, hash, map[string][]byte{resolvedName: []byte(document)})
		must(t, err)
		for s := int64(1); s <= steps; s++ {
			row := Row{Step: s, Values: map[string]float64{Loss: 4 / float64(s)}}
			if eval && s%2 == 0 {
				row.Values[EvalLoss] = 1 + math.Abs(float64(s)-4)
			}
			must(t, run.Log(row))
		}
		folders = append(folders, run.Folder)
		return run
	}
	done := make("b-done", strings.Repeat("a", 64), "recipe: {\n\tlr: 0.001\n\tsteps: 100\n\tlayers: [\n\t\t1,\n\t\t2,\n\t]\n}\n", 8, true)
	must(t, done.Finish())
	must(t, done.Close())
	must(t, make("a-stopped", strings.Repeat("b", 64), "recipe: {\n\tlr: 0.002\n\tsteps: 100\n\tlayers: [\n\t\t1,\n\t\t3,\n\t]\n\tdecay: 0.1\n}\n", 5, false).Close())
	running := make("c-running", strings.Repeat("c", 64), "recipe: lr: 0.001\n", 0, false)
	t.Cleanup(func() { must(t, running.Close()) })
	bad := filepath.Join(root, "d-bad")
	must(t, os.Mkdir(bad, 0o777))
	must(t, os.WriteFile(filepath.Join(bad, aboutName), []byte("{"), 0o666))
	must(t, os.Mkdir(filepath.Join(root, "no-run"), 0o777))
	must(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o666))
	return root, folders
}

func TestList(t *testing.T) {
	root, _ := someRuns(t)
	runs, err := List(root)
	must(t, err)
	want := `NAME       HASH          STATE        STEPS  LOSS    EVAL    STARTED               TIME
d-bad      -             damaged      -      -       -       -                     ROOT/d-bad/run.json: does not describe a run: unexpected end of JSON input
b-done     aaaaaaaaaaaa  finished     8/100  0.5000  5.0000  2026-03-01 12:00:01Z  9s
a-stopped  bbbbbbbbbbbb  interrupted  5/100  0.8000  -       2026-03-01 12:00:12Z  6s
c-running  cccccccccccc  running      0/100  -       -       2026-03-01 12:00:19Z  0s
`
	got := strings.ReplaceAll(ListTable(runs), root, "ROOT")
	if got != want {
		t.Errorf("table\n%swant\n%s", got, want)
	}
	data, err := json.Marshal(runs)
	must(t, err)
	var back []Summary
	must(t, json.Unmarshal(data, &back))
	if len(back) != 4 || back[1].State != Finished || float64(*back[1].Loss) != 0.5 {
		t.Errorf("as JSON: %s", data)
	}
	if none, err := List(filepath.Join(root, "absent")); err != nil || len(none) != 0 {
		t.Errorf("absent root: %v, %v", none, err)
	}
	_, err = List(filepath.Join(root, "file"))
	isOneLine(t, err, "is not a folder")
}

func TestCompare(t *testing.T) {
	_, folders := someRuns(t)
	c, err := Compare(folders...)
	must(t, err)
	want := `                 b-done        a-stopped     c-running
run              aaaaaaaaaaaa  bbbbbbbbbbbb  cccccccccccc
state            finished      interrupted   running
steps            8             5             0
final loss       0.5000        0.8000        -
best loss        0.5000 at 8   0.8000 at 5   -
final eval loss  5.0000        -             -
best eval loss   1.0000 at 4   -             -
time             9s            6s            0s
recipe.lr        0.001         0.002         0.001
recipe.steps     100           100           -
recipe.layers.0  1             1             -
recipe.layers.1  2             3             -
recipe.decay     -             0.1           -
`
	if got := c.Table(); got != want {
		t.Errorf("table\n%swant\n%s", got, want)
	}
	_, err = Compare(folders[0], filepath.Join(filepath.Dir(folders[0]), "d-bad"))
	isOneLine(t, err, "does not describe a run")
	must(t, os.WriteFile(filepath.Join(folders[1], metricsName), []byte("garbage\n"), 0o666))
	_, err = Compare(folders...)
	isOneLine(t, err, "metrics.jsonl: line 1 is not a JSON object")
}

func TestBestSkipsNaN(t *testing.T) {
	row := func(step int64, loss float64) Row { return Row{Step: step, Values: map[string]float64{Loss: loss}} }
	n, step := best([]Row{row(1, math.NaN()), row(2, 3), row(3, 2), row(4, 2), row(5, math.NaN())}, Loss)
	if step != 3 || *n != 2 {
		t.Errorf("best %v at %d", *n, step)
	}
	if n, step := best(nil, Loss); n != nil || step != -1 {
		t.Errorf("of nothing: %v at %d", n, step)
	}
}

func TestFlatten(t *testing.T) {
	d := flatten("package x\n// a comment\na: {\n\tb: c: 3\n\t\"d e\": [{\n\t\tf: \"g: h\"\n\t}, {\n\t\tf: 2\n\t}]\n}\nz: 1\n")
	var got []string
	for _, p := range d.paths {
		got = append(got, p+" = "+d.lines[p])
	}
	want := []string{"0 = package x", "a.b.c = 3", `a.d e.0.f = "g: h"`, "a.d e.1.f = 2", "z = 1"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzFlatten(f *testing.F) {
	f.Add("a: {\n}\n")
	f.Add("\":\n]]\n\"\\")
	f.Fuzz(func(t *testing.T, text string) {
		if d := flatten(text); len(d.paths) != len(d.lines) {
			t.Fatalf("%d paths, %d lines", len(d.paths), len(d.lines))
		}
	})
}
