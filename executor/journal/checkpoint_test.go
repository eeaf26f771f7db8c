package journal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// save writes a checkpoint with some files, one of them not through the Writer.
func save(t *testing.T, run *Run, step int64, keep int, content string) {
	t.Helper()
	must(t, run.Save(step, keep, func(w *Writer) error {
		if err := w.File("sub/state.bin", func(o io.Writer) error { _, err := io.WriteString(o, content); return err }); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(w.dir, "own.bin"), []byte("own "+content), 0o666)
	}))
}

func folders(t *testing.T, run *Run) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(run.Folder, checkpointsName))
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSaveKeepsTheLast(t *testing.T) {
	run, err := Runs{Root: t.TempDir()}.Create("save", testHash, nil)
	must(t, err)
	defer run.Close()
	if c, warnings, err := run.Latest(); c != nil || warnings != nil || err != nil {
		t.Fatalf("no checkpoint yet: %v, %q, %v", c, warnings, err)
	}
	for step := int64(10); step <= 50; step += 10 {
		save(t, run, step, 3, "state")
	}
	if got, want := folders(t, run), []string{"step-00000030", "step-00000040", "step-00000050"}; !slices.Equal(got, want) {
		t.Fatalf("left %q, want %q", got, want)
	}
	c, warnings, err := run.Latest()
	must(t, err)
	if c.Step != 50 || !slices.Equal(c.Files, []string{"own.bin", "sub/state.bin"}) || warnings != nil {
		t.Fatalf("latest %+v, %q", c, warnings)
	}
	data, err := os.ReadFile(c.Path("sub/state.bin"))
	must(t, err)
	if string(data) != "state" {
		t.Errorf("content %q", data)
	}
	// The same step again replaces it, and keep counts at least one.
	save(t, run, 50, 0, "again")
	if got := folders(t, run); !slices.Equal(got, []string{"step-00000050"}) {
		t.Fatalf("left %q", got)
	}
	c, _, err = run.Latest()
	must(t, err)
	if data, err := os.ReadFile(c.Path("sub/state.bin")); err != nil || string(data) != "again" {
		t.Errorf("content %q, %v", data, err)
	}
}

// Each way in which the newest checkpoint can be bad is one line, and the one
// before is used; going on from there sets the bad one aside until it is passed.
func TestBadNewestCheckpoint(t *testing.T) {
	for _, c := range []struct {
		say    string
		break_ func(dir string) error
	}{
		{"own.bin: is damaged: its SHA-256 is ", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "own.bin"), []byte("own STATE"), 0o666)
		}},
		{"own.bin: has 4 bytes, but 9 were saved", func(dir string) error { return os.Truncate(filepath.Join(dir, "own.bin"), 4) }},
		{"own.bin: is missing", func(dir string) error { return os.Remove(filepath.Join(dir, "own.bin")) }},
		{"manifest.json: no such file or folder", func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }},
		{"manifest.json: is no manifest: ", func(dir string) error { return os.Truncate(filepath.Join(dir, manifestName), 30) }},
		{"manifest.json: is no manifest: it lists no files", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"step":20}`), 0o666)
		}},
		{"manifest.json: is of step 10, not 20", func(dir string) error {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "step-00000010", manifestName))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, manifestName), data, 0o666))
		}},
		{`lists "../run.json", which is outside`, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"step":20,"files":[{"name":"../run.json"}]}`), 0o666)
		}},
		{"own.bin: is not a file", func(dir string) error {
			path := filepath.Join(dir, "own.bin")
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o777))
		}},
	} {
		t.Run(c.say, func(t *testing.T) {
			runs := Runs{Root: t.TempDir()}
			run, err := runs.Create("bad", testHash, nil)
			must(t, err)
			save(t, run, 10, 2, "state")
			save(t, run, 20, 2, "state")
			must(t, run.Close())
			must(t, c.break_(filepath.Join(run.Folder, checkpointsName, "step-00000020")))
			run, err = runs.Open("bad", testHash)
			must(t, err)
			defer run.Close()
			found, warnings, err := run.Latest()
			must(t, err)
			if found.Step != 10 || len(warnings) != 1 || !strings.Contains(warnings[0], c.say) || strings.Contains(warnings[0], "\n") {
				t.Fatalf("found %+v, warnings %q", found, warnings)
			}
			must(t, run.Resume(10))
			if got := folders(t, run); !slices.Equal(got, []string{"step-00000010", "step-00000020.aside"}) {
				t.Fatalf("left %q", got)
			}
			save(t, run, 15, 1, "state")
			if got := folders(t, run); !slices.Equal(got, []string{"step-00000015", "step-00000020.aside"}) {
				t.Fatalf("left %q", got)
			}
			save(t, run, 20, 1, "state")
			save(t, run, 25, 1, "state")
			if got := folders(t, run); !slices.Equal(got, []string{"step-00000025"}) {
				t.Fatalf("left %q", got)
			}
		})
	}
}

func TestNoUsableCheckpoint(t *testing.T) {
	run, err := Runs{Root: t.TempDir()}.Create("none", testHash, nil)
	must(t, err)
	defer run.Close()
	save(t, run, 10, 2, "state")
	save(t, run, 20, 2, "state")
	for _, f := range folders(t, run) {
		must(t, os.Remove(filepath.Join(run.Folder, checkpointsName, f, "own.bin")))
	}
	c, warnings, err := run.Latest()
	isOneLine(t, err, "none of the 2 here can be used; the newest: ")
	if c != nil || len(warnings) != 2 {
		t.Errorf("%+v, %q", c, warnings)
	}
}

// A bad one does not count among those that are kept: the only good one stays.
func TestKeepCountsGoodOnes(t *testing.T) {
	run, err := Runs{Root: t.TempDir()}.Create("good", testHash, nil)
	must(t, err)
	defer run.Close()
	save(t, run, 10, 2, "state")
	save(t, run, 20, 2, "state")
	must(t, os.Remove(filepath.Join(run.Folder, checkpointsName, "step-00000020", "own.bin")))
	save(t, run, 30, 2, "state")
	if got := folders(t, run); !slices.Equal(got, []string{"step-00000010", "step-00000030"}) {
		t.Fatalf("left %q", got)
	}
}

func TestSaveThatFails(t *testing.T) {
	run, err := Runs{Root: t.TempDir()}.Create("fails", testHash, nil)
	must(t, err)
	defer run.Close()
	save(t, run, 10, 1, "state")
	nothing := func(*Writer) error { return nil }
	isOneLine(t, run.Save(20, 1, nothing), "without files")
	isOneLine(t, run.Save(-1, 1, nothing), "step -1 is negative")
	isOneLine(t, run.Save(20, 1, func(*Writer) error { return errors.New("no such state") }), "step-00000020: no such state")
	for _, name := range []string{"../x", "", "/x", "manifest.json"} {
		isOneLine(t, run.Save(20, 1, func(w *Writer) error {
			return w.File(name, func(io.Writer) error { return nil })
		}), "cannot name a file of a checkpoint")
	}
	if got := folders(t, run); !slices.Equal(got, []string{"step-00000010"}) {
		t.Fatalf("left %q", got)
	}
}
