package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestPictureAgain: a picture of several is repeated alone, to the same file, by its own seed or by
// its own noise; check, plan and inspect take it for its document; a file that has changed since is told.
func TestPictureAgain(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/"
	dir := t.TempDir()
	model := filepath.Join(dir, "model")
	if err := os.CopyFS(filepath.Join(model, "unet"), os.DirFS(golden+"pictures/unet_plain/model")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(model, "scheduler"), os.DirFS(golden+"unconditional/scheduler")); err != nil {
		t.Fatal(err)
	}
	shared := []string{"--quiet", "--set", "model=" + model, "--set", "width=8", "--set", "height=8", "--set", "count=3", "--set", "steps=2",
		"--set", "sampler=euler_ancestral", "--set", "seed=5", "--out", filepath.Join(dir, "out.npz")}
	noise := make([]float32, 3*3*8*8)
	for i := range noise {
		noise[i] = float32(i%17)/8 - 1
	}
	given := tensorFile(t, tensorfile.FromFloat32s("noise", noise, 3, 3, 8, 8))
	for name, c := range map[string]struct {
		more []string
		set  string
	}{
		"seed":  {nil, `\n\s*seed:\s+6\n`},
		"noise": {[]string{"--set", "noise=" + given}, `\n\s*only:\s+\[1\]\n`},
	} {
		base := filepath.Join(dir, name)
		args := slices.Concat([]string{"run", "../../pipelines/unconditional.cue"}, shared, c.more, []string{"--set", "image=" + base + ".png"})
		if code, _, errs := pipeCommand(args...); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, errs)
		}
		was, err := os.ReadFile(base + "-1.png")
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(c.set).Match(was) || !bytes.Contains(was, []byte("pipe:seed\x006")) {
			t.Errorf("%s: the picture's document lacks %s, or it its seed", name, c.set)
		}
		kept := filepath.Join(dir, name+" kept.PNG")
		for i := range 3 {
			if i == 1 {
				err = os.Rename(fmt.Sprintf("%s-%d.png", base, i), kept)
			} else {
				err = os.Remove(fmt.Sprintf("%s-%d.png", base, i))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if code, _, errs := pipeCommand("run", kept, "--quiet", "--out", filepath.Join(dir, "again.npz")); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, errs)
		}
		if again, err := os.ReadFile(base + "-1.png"); err != nil || !bytes.Equal(again, was) {
			t.Errorf("%s: the picture is not repeated: %v", name, err)
		}
		if _, err := os.Stat(base + "-0.png"); err == nil {
			t.Errorf("%s: another picture of the batch is repeated, too", name)
		}
		other := filepath.Join(dir, name+" other.png")
		if code, _, errs := pipeCommand("run", kept, "--quiet", "--set", "nodes.made.seed=9", "--set", "image="+other, "--out", filepath.Join(dir, "other.npz")); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, errs)
		}
		if changed, err := os.ReadFile(other); err != nil || bytes.Equal(pixelsOf(changed), pixelsOf(was)) {
			t.Errorf("%s: another seed changes nothing: %v", name, err)
		}
		pictureAsDocument(t, kept)
	}
	changedPicture(t, filepath.Join(dir, "seed-1.png"), filepath.Join(model, "scheduler", "scheduler_config.json"))
}

// pixelsOf is what stands in a PNG file behind its texts.
func pixelsOf(data []byte) []byte { return data[max(0, bytes.Index(data, []byte("IDAT"))):] }

// pictureAsDocument has check, plan and inspect take a picture for its document.
func pictureAsDocument(t *testing.T, file string) {
	t.Helper()
	code, out, errs := pipeCommand("check", file)
	if code != 0 || !strings.HasPrefix(out, "ok "+file+" pipeline unconditional sha256:") {
		t.Errorf("check gives %d: %s%s", code, out, errs)
	}
	code, plan, errs := pipeCommand("plan", "--time=false", file)
	if code != 0 || !strings.HasPrefix(plan, "document unconditional\nhash "+out[strings.Index(out, "sha256:"):]) {
		t.Errorf("plan gives %d: %.200s%s", code, plan, errs)
	}
	code, out, errs = pipeCommand("inspect", "--json", file)
	var r pictureReport
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("inspect gives %d: %s%s", code, out, errs)
	}
	if r.Seed == nil || *r.Seed != 6 || r.Width != 8 || !slices.Contains(r.Set, "seed=5") || len(r.Files) < 3 || len(r.Files[0].SHA256) != 64 {
		t.Errorf("inspect gives %s", out)
	}
}

// changedPicture changes a file that a picture was made of.
func changedPicture(t *testing.T, picture, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := pipeCommand("run", picture)
	if want := picture + ": " + file + " has changed since the picture was made: its SHA-256 is "; code != 5 || !strings.HasPrefix(errs, want) || strings.Count(errs, "\n") != 1 {
		t.Errorf("a changed file gives %d: %s, want %s", code, errs, want)
	}
	code, text, errs := pipeCommand("plan", "--resolved", picture)
	document := filepath.Join(filepath.Dir(picture), "alone.cue")
	if err := os.WriteFile(document, []byte(text), 0o644); code != 0 || err != nil {
		t.Fatalf("plan --resolved gives %d: %s %v", code, errs, err)
	}
	if code, _, errs := pipeCommand("run", document, "--quiet", "--out", filepath.Join(filepath.Dir(picture), "alone.npz")); code != 0 {
		t.Errorf("the document by itself gives %d: %s", code, errs)
	}
}
