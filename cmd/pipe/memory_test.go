package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFitPicture: where a picture does not fit whole and its document allows it, it is made in tiles, as the document
// of the picture then says, so that it is repeated with any memory; too little is told in one line, before anything runs.
func TestFitPicture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(name string, more ...string) (int, string, []byte) {
		file := filepath.Join(dir, name+".png")
		args := []string{"run", "../../pipelines/stable-diffusion.cue", "--set", "model=../../testdata/golden/text_to_image/model", "--set", "prompt=x",
			"--set", "width=256", "--set", "height=192", "--set", "steps=2", "--set", "seed=3", "--set", "image=" + file, "--out", filepath.Join(dir, name+".npz")}
		code, _, errs := pipeCommand(append(args, more...)...)
		data, _ := os.ReadFile(filepath.Join(dir, name+".npz"))
		return code, errs, data
	}
	_, _, whole := run("whole")
	code, errs, want := run("tiled", "--set", "nodes.decoded.tile=16")
	if code != 0 || len(whole) == 0 || bytes.Equal(whole, want) {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	code, errs, got := run("fits", "--mem", "4MiB")
	if code != 0 || !bytes.Equal(got, want) {
		t.Errorf("exit code %d, as tiles of 16: %v: %s", code, bytes.Equal(got, want), errs)
	}
	if !strings.Contains(errs, "nodes.decoded computes 6 tiles of 16") {
		t.Errorf("what was chosen is not told: %s", errs)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "fits.png")); err != nil || !regexp.MustCompile(`tile:\s+16\b`).Match(data) {
		t.Errorf("the document of the picture does not name tiles of 16 (%v)", err)
	}
	code, errs, got = run("none", "--mem", "1MiB")
	if _, err := os.Stat(filepath.Join(dir, "none.png")); code != 4 || err == nil || got != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if strings.Count(strings.TrimSpace(errs), "\n") != 0 || !strings.Contains(errs, "is the least that works") {
		t.Errorf("too little memory is told so: %s", errs)
	}
}
