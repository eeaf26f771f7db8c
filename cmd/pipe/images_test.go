package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/executor/image"
)

// shapes draws n pictures of each of three shapes, a folder for each, of several sizes and colours; every other one is a JPEG file.
func shapes(t *testing.T, n int) string {
	t.Helper()
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	inside := map[string]func(x, y, size int) bool{
		"circle":   func(x, y, size int) bool { return x*x+y*y <= size*size },
		"square":   func(x, y, size int) bool { return max(x, -x, y, -y) <= size },
		"triangle": func(x, y, size int) bool { return y <= size && y >= -size && 2*max(x, -x) <= y+size },
	}
	for _, name := range []string{"circle", "square", "triangle"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			p := image.New(40+r.IntN(16), 40+r.IntN(16), 3, false)
			size, left, top := 12+r.IntN(5), p.Width/2+r.IntN(9)-4, p.Height/2+r.IntN(9)-4
			for at := range p.Width * p.Height {
				low := inside[name](at%p.Width-left, at/p.Width-top, size)
				for c := range 3 {
					p.Pix[3*at+c] = uint8(20 + 23*((i+c)%4))
					if low {
						p.Pix[3*at+c] = uint8(150 + 34*((i/3+c)%4))
					}
				}
			}
			file, err := os.Create(filepath.Join(dir, name, fmt.Sprintf("%03d.%s", i, []string{"png", "jpg"}[i%2])))
			if err == nil && i%2 == 0 {
				err = image.EncodePNG(file, p)
			} else if err == nil {
				err = image.EncodeJPEG(file, p, 90)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// The recipe tells shapes apart after seconds; its data are shown as the model sees them, and mistakes are told by the names of pictures.
func TestImages(t *testing.T) {
	t.Parallel()
	dir, runs := shapes(t, 40), t.TempDir()
	set := `data.train.0.files=["` + dir + `"]`
	sheet := filepath.Join(runs, "sheet.png")
	code, out, errs := pipeCommand("data", "../../recipes/images.cue", "--set", set, "--runs", runs, "--out", sheet)
	if code != 0 || !strings.Contains(out, "pictures 96\nclasses 3: circle ") || !strings.Contains(out, "\n1.16  image 32x32  label ") {
		t.Fatalf("data gives %d: %s%s", code, out, errs)
	}
	if p, err := image.Read(sheet, image.Options{}); err != nil || p.Width != 4*96+12 || p.Height != 4*(32+14)+12 {
		t.Errorf("the sheet is %v: %v", p, err)
	}
	if code, out, errs = pipeCommand("run", "../../recipes/images.cue", "--set", set, "--runs", runs, "--json", "--quiet"); code != 0 {
		t.Fatalf("run gives %d: %s", code, errs)
	}
	var r struct {
		Accuracy float64 `json:"eval/accuracy"`
		Model    string  `json:"model"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Accuracy < 0.95 {
		t.Errorf("accuracy %v: %v", r.Accuracy, err)
	}
	if text, err := os.ReadFile(filepath.Join(r.Model, "labels.json")); err != nil || !strings.Contains(string(text), `"1": "square"`) {
		t.Errorf("labels.json: %s %v", text, err)
	}

	whole, err := os.ReadFile(filepath.Join(dir, "circle", "000.png"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "circle", "bad.png"), whole[:100], 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	for want, more := range map[string][]string{
		"bad.png: is a damaged PNG file: its data end early":                                     nil,
		"--set data.images.image.train: data.images.image.train.0.name: want one of ":            {"--set", "data.images.image.train=[{name: \"flop\"}]"},
		"data.mix: the input label is the number of a class":                                     {"--set", "data.mix={mixup: 0.2}", "--set", `data.train.0.on_error="skip"`},
		"data.images.image: are 30 x 30 after the transforms, and the input image wants 32 x 32": {"--set", `data.images.image.train=[{name: "center_crop", size: 30}]`},
		"data.images.image: eval.0 is flip, which is random":                                     {"--set", `data.images.image.eval=[{name: "flip"}]`},
	} {
		code, _, errs := pipeCommand(append([]string{"run", "../../recipes/images.cue", "--set", set, "--runs", runs, "--quiet"}, more...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v gives %d: %s; want %q", more, code, errs, want)
		}
		if n := strings.Count(strings.TrimSpace(errs), "\n") + 1; n > 1 {
			t.Errorf("%v is told in %d lines: %s", more, n, errs)
		}
	}
}

// Pictures of several sizes, with probabilities that are mixed: a plan for each bucket, and a run that is made again has the same loss.
func TestImageBuckets(t *testing.T) {
	t.Parallel()
	dir, folder := shapes(t, 6), t.TempDir()
	document := filepath.Join(folder, "buckets.cue")
	text := `package p

import (
	"pipe.dev/schema/op"
	"pipe.dev/schema/train"
)

net: op.#Model & {
	nodes: {
		image: op.#Input & {shape: ["batch", 3, "height", "width"]}
		label: op.#Input & {shape: ["batch", 3]}
		conv: op.#Conv2d & {x: nodes.image.out, out_channels: 4, kernel: 3, padding: 1}
		mean: op.#Mean & {x: conv.out, axes: [2, 3]}
		classes: op.#Linear & {x: mean.out, out_features: 3, bias: true}
	}
	out: nodes.classes.out
}

buckets: train.#Recipe & {
	name: "buckets"
	model: graph: net
	data: {
		train: [{files: ["` + dir + `"], format: "images", validation: 0.3}]
		images: image: buckets: {resolution: 32, multiple: 8, smallest: 16, largest: 64, crop: "random"}
		mix: {mixup: 0.2, cutmix: 1}
	}
	batch: batch: 2
	objective: {name: "soft_cross_entropy", inputs: targets: net.nodes.label.out}
	train: {steps: 12, log_every: 4}
	eval: measures: ["accuracy"]
}
`
	if err := os.WriteFile(document, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := pipeCommand("check", document); code != 0 {
		t.Fatalf("check gives %d: %s", code, errs)
	}
	var losses [2]float64
	for i := range losses {
		code, out, errs := pipeCommand("run", document, "--runs", filepath.Join(folder, fmt.Sprint(i)), "--json", "--quiet")
		var r struct {
			Loss float64 `json:"loss"`
			Run  string  `json:"run"`
		}
		if code != 0 || json.Unmarshal([]byte(out), &r) != nil {
			t.Fatalf("run gives %d: %s", code, errs)
		}
		losses[i] = r.Loss
		if plans, err := filepath.Glob(filepath.Join(r.Run, "plan-step.2x*x*.txt")); err != nil || len(plans) < 2 {
			t.Errorf("there are the plans %v: %v", plans, err)
		}
	}
	if losses[0] != losses[1] {
		t.Errorf("losses %v", losses)
	}
}
