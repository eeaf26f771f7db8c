package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// pictureRun runs a document that makes pictures, and holds its pixels against those of
// diffusers, 0 to 1.
func pictureRun(t *testing.T, document string, want tensorfile.Tensor, set ...string) {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.npz")
	args := []string{"run", "../../pipelines/" + document, "--quiet", "--set", "image=" + filepath.Join(dir, "made.png"), "--out", out}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	if code, _, errs := pipeCommand(args...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	worst, expected := 0.0, want.Float64s()
	var got []float64
	for _, v := range tensortest.Read(t, out) { // the only one
		got = v.Float64s()
	}
	if len(got) != len(expected) {
		t.Fatalf("%d values, want %d", len(got), len(expected))
	}
	for i, v := range got {
		worst = max(worst, math.Abs(min(max(v/2+0.5, 0), 1)-expected[i]))
	}
	t.Logf("worst error %g", worst)
	if !(worst <= 1e-4) {
		t.Errorf("worst error %g", worst)
	}
}

// tensorFile writes a tensor to a file of its own.
func tensorFile(t *testing.T, v tensorfile.Tensor) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.npy")
	if err := tensorfile.Write(file, []tensorfile.Tensor{v}); err != nil {
		t.Fatal(err)
	}
	return file
}

// folderOf is a folder of models, each by the folder that it lies in.
func folderOf(t *testing.T, parts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range parts {
		abs, err := filepath.Abs(from)
		if err == nil {
			err = os.Symlink(abs, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFromPicture holds image to image and both kinds of inpainting against diffusers
// (testdata/golden/from_picture.py), from the same noise.
func TestFromPicture(t *testing.T) {
	t.Parallel()
	const golden, base = "../../testdata/golden/from_picture/", "../../testdata/golden/text_to_image/model/"
	values := tensortest.Read(t, golden+"values.npz")
	parts := map[string]string{"text_encoder": base + "text_encoder", "tokenizer": base + "tokenizer", "unet": base + "unet", "vae": base + "vae", "scheduler": base + "scheduler"}
	four := folderOf(t, parts)
	parts["unet"] = golden + "unet"
	nine := folderOf(t, parts)
	shared := []string{"prompt=A photo of a Cat, at NIGHT!", "negative=blurry", "width=48", "height=32", "count=2", "steps=6", "guidance=4",
		"noise=" + tensorFile(t, values["noise"]), "picture=" + golden + "in.png", "mask_blur=0", "paste=false"}
	for _, c := range []struct {
		name, model, mask string
		more              []string
	}{
		{"image_0.6", four, "", nil},
		{"four_0.6", four, "mask.png", nil},
		{"four_1.0", four, "mask.png", nil},
		{"nine_1.0", nine, "mask.png", nil},
		{"pasted_0.6", four, "mask.png", []string{"mask_blur=4", "mask_invert=true", "paste=true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, strength, _ := strings.Cut(c.name, "_")
			set := append(slices.Clone(shared), "model="+c.model, "strength="+strength)
			if c.mask != "" {
				set = append(set, "mask="+golden+c.mask)
			}
			pictureRun(t, "stable-diffusion.cue", values[c.name], append(set, c.more...)...)
		})
	}
}

// TestOtherFolder: a folder of another kind is named, with the document that runs it.
func TestOtherFolder(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{
		"FluxPipeline": "it is a FluxPipeline; this document is for StableDiffusionPipeline, ",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "model_index.json"), fmt.Appendf(nil, `{"_class_name": %q}`, class), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, errs := pipeCommand("run", "../../pipelines/stable-diffusion.cue", "--set", "model="+dir, "--set", "prompt=x")
		if code != 5 || !strings.Contains(errs, want) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%s gives %d: %s, want %s", class, code, errs, want)
		}
	}
}
