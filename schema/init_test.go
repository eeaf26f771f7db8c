package schema

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What Init writes is valid, to pipe and to CUE's own command.
func TestInit(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("CUE_CACHE_DIR", cache)
	dir := filepath.Join(t.TempDir(), "new", "project")
	written, err := Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != len(starterFiles) {
		t.Errorf("wrote %q", written)
	}
	for name, kind := range map[string]func(*Document) bool{
		"pipeline.cue": func(d *Document) bool { return d.Pipeline != nil },
		"recipe.cue":   func(d *Document) bool { return d.Recipe != nil },
	} {
		d, err := Load(filepath.Join(dir, name), Options{})
		if err != nil {
			t.Error(err)
		} else if !kind(d) {
			t.Errorf("%s holds something else: %+v", name, d)
		}
	}
	module, err := os.ReadFile(filepath.Join(dir, "cue.mod", "module.cue"))
	if err != nil || strings.Count(string(module), "\n") != 3 {
		t.Errorf("module.cue is %q, %v", module, err)
	}
	if cue, err := exec.LookPath("cue"); err == nil {
		vet := exec.Command(cue, "vet", "-c", ".")
		vet.Dir = dir
		vet.Env = append(os.Environ(), "CUE_REGISTRY=none")
		if out, err := vet.CombinedOutput(); err != nil {
			t.Errorf("cue vet: %v\n%s", err, out)
		}
	}
}

// Init overwrites nothing, and writes nothing if it can't write all.
func TestInitRefuses(t *testing.T) {
	t.Setenv("CUE_CACHE_DIR", t.TempDir())
	dir := t.TempDir()
	mine := filepath.Join(dir, "recipe.cue")
	if err := os.WriteFile(mine, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	written, err := Init(dir)
	if err == nil || err.Error() != mine+": exists already" || len(written) > 0 {
		t.Errorf("wrote %q, %v", written, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("the folder has %v", entries)
	}
}

// The cache of CUE is filled once, and again if it is of another build.
func TestFillCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("CUE_CACHE_DIR", cache)
	if err := fillCache(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cache, "mod", "extract", "pipe.dev@v0.1.0", "schema", "op", "base.cue")
	if err := os.WriteFile(file, []byte("package op\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := fillCache(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(data), "#Repeat") {
		t.Errorf("%s is stale: %v", file, err)
	}
	entries, err := os.ReadDir(filepath.Join(cache, "mod", "extract"))
	if err != nil || len(entries) != 1 {
		t.Errorf("the cache has %v, %v", entries, err)
	}
}
