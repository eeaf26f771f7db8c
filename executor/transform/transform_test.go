package transform

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/executor/image"
	"pipe.dev/executor/tensorfile"
)

const golden = "../../testdata/golden/transforms"

// fixture is what testdata/golden/transforms.py writes.
type fixture struct {
	Cases  map[string][]any `json:"cases"`
	Angles []float64        `json:"angles"`
	arrays map[string]tensorfile.Tensor
}

func read(t *testing.T) fixture {
	t.Helper()
	var f fixture
	text, err := os.ReadFile(filepath.Join(golden, "cases.json"))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	list, more := tensorfile.Read(filepath.Join(golden, "expected.npz"))
	if err != nil || more != nil {
		t.Fatal(err, more)
	}
	f.arrays = map[string]tensorfile.Tensor{}
	for _, x := range list {
		f.arrays[x.Name] = x
	}
	return f
}

func pictureOf(x tensorfile.Tensor) *image.Picture {
	s := x.Type.Sizes()
	p := image.New(s[1], s[0], s[2], false)
	for i, v := range x.Float64s() {
		p.Pix[i] = uint8(v)
	}
	return p
}

// chain decodes a chain as a document has it, numbers as its decoder gives them.
func chain(t *testing.T, list ...map[string]any) Chain {
	t.Helper()
	var in []any
	for _, m := range list {
		in = append(in, number(m))
	}
	c, err := Table().Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func equal(t *testing.T, name string, p *image.Picture, want *image.Picture) {
	t.Helper()
	if p.Width != want.Width || p.Height != want.Height || p.Channels != want.Channels {
		t.Fatalf("%s: %v, want %v", name, p, want)
	}
	for i := range want.Pix {
		if p.Pix[i] != want.Pix[i] {
			t.Fatalf("%s: sample %d is %d, want %d", name, i, p.Pix[i], want.Pix[i])
		}
	}
}

// What does not draw, or draws with certainty, gives torchvision's pictures to the bit, in the size that is foretold.
func TestTorchvision(t *testing.T) {
	f := read(t)
	if len(f.Cases) < 9 || len(f.Angles) < 7 {
		t.Fatal(len(f.Cases), len(f.Angles))
	}
	for i := range 3 {
		in := pictureOf(f.arrays[fmt.Sprintf("in.%d", i)])
		for name, list := range f.Cases {
			var maps []map[string]any
			for _, x := range list {
				maps = append(maps, x.(map[string]any))
			}
			c := chain(t, maps...)
			frame := &Frame{Picture: in}
			if err := c.Apply(frame, 1, uint64(i)); err != nil {
				t.Fatal(name, err)
			}
			equal(t, fmt.Sprintf("%s of %d", name, i), frame.Picture, pictureOf(f.arrays[fmt.Sprintf("out.%s.%d", name, i)]))
			if w, h, err := Size(c, in.Width, in.Height); err != nil || w != frame.Width || h != frame.Height {
				t.Errorf("%s: size %d x %d is foretold, and it is %v: %v", name, w, h, frame, err)
			}
		}
		for j, angle := range f.Angles {
			for _, mode := range []string{"nearest", "bilinear"} {
				want := pictureOf(f.arrays[fmt.Sprintf("rotate.%s.%d.%d", mode, j, i)])
				equal(t, fmt.Sprintf("%v degrees, %s, of %d", angle, mode, i), in.Rotate(angle, mode == "bilinear"), want)
			}
		}
	}
}

// chiSquare holds counts against even chances; the bound is passed by one fair count in a million.
func chiSquare(t *testing.T, name string, counts []int) {
	t.Helper()
	n, sum := 0, 0.0
	for _, c := range counts {
		n += c
	}
	want := float64(n) / float64(len(counts))
	for _, c := range counts {
		sum += (float64(c) - want) * (float64(c) - want) / want
	}
	df := float64(len(counts) - 1)
	// Wilson and Hilferty's approximation of the quantile.
	if bound := df * math.Pow(1-2/(9*df)+4.75*math.Sqrt(2/(9*df)), 3); sum > bound {
		t.Errorf("%s: chi-square %.1f of %v degrees of freedom, at most %.1f: %v", name, sum, df, bound, counts)
	}
}

// Random crops lie everywhere alike; flips, turns and parts that are erased have the distributions that are asked for; the same item gives the same
// picture.
func TestDraws(t *testing.T) {
	t.Parallel()
	p := image.New(13, 9, 3, false)
	for i := range p.Pix {
		p.Pix[i] = uint8(i)
	}
	crop := chain(t, map[string]any{"name": "random_crop", "size": 8, "pad": 1})
	flip := chain(t, map[string]any{"name": "flip", "p": 0.25})
	erase := chain(t, map[string]any{"name": "erase", "p": 1, "scale": []any{0.1, 0.2}, "ratio": []any{1, 1}})
	lefts, tops, flips, erased := make([]int, 8), make([]int, 4), 0, 0.0
	const n = 4000
	for i := range uint64(n) {
		f := &Frame{Picture: p}
		if err := crop.Apply(f, 7, i); err != nil {
			t.Fatal(err)
		}
		lefts[f.Left+1]++
		tops[f.Top+1]++
		f = &Frame{Picture: p}
		if err := flip.Apply(f, 7, i); err != nil {
			t.Fatal(err)
		}
		if f.Pix[0] != p.Pix[0] {
			flips++
		}
		f = &Frame{Picture: image.New(40, 40, 1, false)}
		if err := erase.Apply(f, 7, i); err != nil || len(f.Erased) != 1 {
			t.Fatal(f.Erased, err)
		}
		erased += float64(f.Erased[0].Width*f.Erased[0].Height) / 1600
	}
	chiSquare(t, "columns of crops", lefts)
	chiSquare(t, "rows of crops", tops)
	if math.Abs(float64(flips)-n/4) > 5*math.Sqrt(n*0.25*0.75) {
		t.Errorf("%d of %d are mirrored, want a quarter", flips, n)
	}
	if mean := erased / n; math.Abs(mean-0.15) > 0.003 {
		t.Errorf("%v of the area is erased, want 0.15", mean)
	}
	all := append(append(append(crop, flip...), chain(t, map[string]any{"name": "color_jitter", "brightness": 0.5, "hue": 0.2}, map[string]any{"name": "rotate"})...), erase...)
	a, b, c := &Frame{Picture: p}, &Frame{Picture: p}, &Frame{Picture: p}
	if all.Apply(a, 3, 11) != nil || all.Apply(b, 3, 11) != nil || all.Apply(c, 3, 12) != nil {
		t.Fatal("a chain fails")
	}
	equal(t, "the same item", a.Picture, b.Picture)
	if string(a.Pix) == string(c.Pix) {
		t.Error("another item gives the same picture")
	}
}

// A part's place is that in the mirrored picture, after a flip.
func TestPlaceOfPart(t *testing.T) {
	f := &Frame{Picture: image.New(20, 10, 3, false)}
	if err := f.Cover(10, 10, "bilinear", image.NewDice(1, "x", 3)); err != nil {
		t.Fatal(err)
	}
	left := f.Left
	if err := chain(t, map[string]any{"name": "flip", "p": 1}).Apply(f, 1, 1); err != nil || f.Left != 10-left {
		t.Errorf("the part is at %d, want %d: %v", f.Left, 10-left, err)
	}
	for _, c := range []struct{ w, h, width, height, wantW, wantH int }{{100, 50, 64, 64, 128, 64}, {50, 100, 64, 32, 64, 128}, {333, 500, 128, 192, 128, 192}, {10, 10, 30, 20, 30, 30}} {
		if w, h := covering(c.w, c.h, c.width, c.height); w != c.wantW || h != c.wantH {
			t.Errorf("%d x %d covers %d x %d as %d x %d, want %d x %d", c.w, c.h, c.width, c.height, w, h, c.wantW, c.wantH)
		}
	}
}

// Mistakes are told.
func TestMistakes(t *testing.T) {
	for want, m := range map[string]map[string]any{
		`0: there is no transform "flop"; there are resize, center_crop, random_crop, random_resized_crop, flip, vertical_flip, rotate, color_jitter, greyscale, erase; did you mean flip?`: {"name": "flop"},
		"0: resize: size is 3, width 2 and height 2; want size, or width and height":                                                                                                        {"name": "resize", "size": 3, "width": 2, "height": 2},
		"0: center_crop: size is 0, width 0 and height 2; want size, or width and height":                                                                                                   {"name": "center_crop", "height": 2},
		"0: random_resized_crop: scale is [0.5 0.1]; want two shares of the area, the lesser first":                                                                                         {"name": "random_resized_crop", "size": 4, "scale": []any{0.5, 0.1}},
	} {
		if _, err := Table().Decode([]any{number(m)}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, _, err := Size(chain(t, map[string]any{"name": "random_crop", "size": 20}), 10, 30); err == nil {
		t.Error("a crop that is wider than the picture is fine")
	}
}

// number makes numbers those of a document.
func number(v any) any {
	switch v := v.(type) {
	case int, float64:
		return json.Number(fmt.Sprint(v))
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = number(x)
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, number(x))
		}
		return out
	}
	return v
}
