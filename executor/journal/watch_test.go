package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWatch follows a run that is written, resumed at an earlier step, and
// finished.
func TestWatch(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Steps: 20, Now: clock()}
	run, err := runs.Create("live", testHash, nil)
	must(t, err)
	for s := range int64(12) {
		must(t, run.Log(trainingRow(s+1, 20)))
	}
	var steps []int64
	next := int64(13)
	s, err := Watch(t.Context(), run.Folder, 3, func(r Row) error {
		steps = append(steps, r.Step)
		switch { // what is written while it is watched
		case r.Step < next-1:
		case next <= 15:
			must(t, run.Log(trainingRow(next, 20)))
			next++
		case next == 16:
			must(t, run.Finish())
			must(t, run.Close())
			next++
		}
		return nil
	})
	if want := []int64{10, 11, 12, 13, 14, 15}; err != nil || !slices.Equal(steps, want) || s.State != Finished || s.Step != 15 {
		t.Errorf("%v, %+v, %v; want %v", steps, s, err, want)
	}
	enough := errors.New("enough")
	if _, err := Watch(t.Context(), run.Folder, 3, func(Row) error { return enough }); err != enough {
		t.Errorf("%v", err)
	}
}

// TestWatchEnds ends when it is told to, and of a run that nobody writes.
func TestWatchEnds(t *testing.T) {
	root, folders := someRuns(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Watch(ctx, folders[2], 5, nil); !errors.Is(err, context.Canceled) || s.State != Running {
		t.Errorf("%+v, %v", s, err)
	}
	n := 0
	if s, err := Watch(t.Context(), folders[1], 2, func(Row) error { n++; return nil }); err != nil || s.State != Interrupted || n != 2 {
		t.Errorf("%+v, %v, %d rows", s, err, n)
	}
	if _, err := Watch(t.Context(), filepath.Join(root, "d-bad"), 2, nil); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// TestWatcherResumed reads a file that was cut to an earlier step.
func TestWatcherResumed(t *testing.T) {
	w := &watcher{path: filepath.Join(t.TempDir(), metricsName)}
	write := func(text string, want ...int64) {
		t.Helper()
		must(t, os.WriteFile(w.path, []byte(text), 0o666))
		rows, err := w.more()
		must(t, err)
		var steps []int64
		for _, r := range rows {
			steps = append(steps, r.Step)
		}
		if !slices.Equal(steps, want) {
			t.Errorf("%v, want %v", steps, want)
		}
	}
	line := func(n int) string { return fmt.Sprintf("{\"step\":%d}\n", n) }
	if rows, err := w.more(); err != nil || rows != nil {
		t.Errorf("no file: %v, %v", rows, err)
	}
	write(line(1)+line(2)+`{"ste`, 1, 2)
	write(line(1)+line(2)+line(3), 3)
	write(line(1))
	write(line(1)+line(2), 2)
	must(t, os.WriteFile(w.path, []byte(line(1)+line(2)+"no\n"), 0o666))
	if _, err := w.more(); err == nil {
		t.Error("a line that is no row is no error")
	}
}

func TestFind(t *testing.T) {
	root, folders := someRuns(t)
	for word, want := range map[string][]string{
		folders[0]: folders[:1], "b-done": folders[:1], "aaaaaaa": folders[:1], "c-run": folders[2:3], folders[1] + "/": folders[1:2],
	} {
		if got, err := Find(root, word); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", word, got, err, want)
		}
	}
	if _, err := Find(root, "b-dne"); err == nil || !strings.HasSuffix(err.Error(), "; did you mean b-done?") {
		t.Errorf("%v", err)
	}
}

func TestOrder(t *testing.T) {
	root, _ := someRuns(t)
	runs, err := List(root)
	must(t, err)
	for column, want := range map[string]string{
		"started": "d-bad b-done a-stopped c-running", "name": "d-bad a-stopped b-done c-running", "loss": "b-done a-stopped d-bad c-running",
		"eval": "b-done d-bad a-stopped c-running", "steps": "b-done a-stopped d-bad c-running",
	} {
		list := slices.Clone(runs)
		must(t, Order(list, column))
		var names []string
		for _, s := range list {
			names = append(names, cmp.Or(s.Name, filepath.Base(s.Folder)))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", column, got, want)
		}
	}
	if err := Order(runs, "los"); err == nil {
		t.Error("a column that there is not is no error")
	}
}

func TestOverlay(t *testing.T) {
	root := t.TempDir()
	var folders []string
	for i := range 2 {
		run, err := Runs{Root: root, Now: clock()}.Create(fmt.Sprint("run", i), testHash, nil)
		must(t, err)
		for s := range int64(50) {
			must(t, run.Log(Row{Step: s, Values: map[string]float64{Loss: float64(i+1) / float64(s+1)}}))
		}
		must(t, run.Close())
		folders = append(folders, run.Folder)
	}
	picture1, err := Overlay(Loss, folders...)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folders[0], plotsName, "both.png"), picture1, 0o666))
	counts := picture(t, folders[0], "both.png")
	if counts[blue] < 500 || counts[vermilion] < 500 {
		t.Errorf("%d and %d pixels of the lines", counts[blue], counts[vermilion])
	}
	if _, err := Overlay("los", folders...); err == nil || !strings.Contains(err.Error(), `no run has values of "los"; there are [loss]`) {
		t.Errorf("%v", err)
	}
	if _, err := Overlay(Loss, make([]string, 9)...); err == nil {
		t.Error("nine runs are not too many")
	}
}
