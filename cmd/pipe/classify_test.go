package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClassify holds pipelines/classify.cue against transformers
// (testdata/golden/classify.py): pictures in several shapes, prepared as three kinds of
// processors do it, by their files of now and of former times.
func TestClassify(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/"
	type class struct {
		Label string
		Score float64
	}
	for _, name := range []string{"vit", "clip", "resnet"} {
		var want struct {
			Model   string
			Prepare json.RawMessage
			Older   json.RawMessage
			Files   []string
			Classes [][]class
		}
		data, err := os.ReadFile(golden + "classify/" + name + ".json")
		if err == nil {
			err = json.Unmarshal(data, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, f := range want.Files {
			files = append(files, golden+f)
		}
		images, _ := json.Marshal(files)
		base := golden + "pictures/" + want.Model + "/model/"
		for which, prepare := range map[string][]byte{"now": want.Prepare, "older": want.Older} {
			dir := folderOf(t, map[string]string{"config.json": base + "config.json", "model.safetensors": base + "model.safetensors"})
			if err := os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), prepare, 0o666); err != nil {
				t.Fatal(err)
			}
			code, out, errs := pipeCommand("run", "../../pipelines/classify.cue", "--quiet", "--set", "model="+dir, "--set", "images="+string(images), "--set", "form=json")
			if code != 0 {
				t.Fatalf("%s, %s: exit code %d: %s", name, which, code, errs)
			}
			var got [][]class
			if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != len(want.Classes) {
				t.Fatalf("%s, %s: %v in %s", name, which, err, out)
			}
			for i, row := range want.Classes {
				for j, c := range row {
					if g := got[i][j]; g.Label != c.Label || !(math.Abs(g.Score-c.Score) <= 1e-5) {
						t.Errorf("%s, %s: picture %d: %v, want %v", name, which, i, g, c)
					}
				}
			}
		}
	}
	model := golden + "pictures/vit_classes/model"
	plain := folderOf(t, map[string]string{"config.json": model + "/config.json", "model.safetensors": model + "/model.safetensors"})
	if err := os.WriteFile(filepath.Join(plain, "preprocessor_config.json"), []byte(`{"size": 12, "image_mean": [0.5], "image_std": [0.5]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	code, out, errs := pipeCommand("run", "../../pipelines/classify.cue", "--quiet", "--set", "model="+plain, "--set", "image="+golden+"image/files/lossless.webp", "--set", "top=2")
	if code != 0 || strings.TrimSpace(out) != "0.7375 dog\n0.1935 tree" { // as in vit.json
		t.Errorf("exit code %d, %q, %s", code, out, errs)
	}
	code, out, errs = pipeCommand("run", "../../pipelines/classify.cue", "--quiet", "--set", "model="+model, "--set", "image="+golden+"image/files/grey.png")
	if code != 5 || !strings.Contains(errs, "preprocessor_config.json: is missing") {
		t.Errorf("exit code %d, %s, %s", code, out, errs)
	}
}
