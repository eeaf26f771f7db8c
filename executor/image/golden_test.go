package image

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

const golden = "../../testdata/golden/image"

// expected reads what Pillow and torchvision made.
func expected(t *testing.T) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, filepath.Join(golden, "expected.npz"))
}

// samples are the numbers of a picture.
func samples(p *Picture) []float64 {
	out := make([]float64, p.Width*p.Height*p.Channels)
	for i := range out {
		out[i] = float64(p.at(i))
	}
	return out
}

// same holds a picture against an array [height, width] or [height, width, channels], and returns the
// greatest difference of a sample.
func same(t *testing.T, p *Picture, want tensorfile.Tensor) float64 {
	t.Helper()
	shape := want.Type.Sizes()
	if len(shape) == 2 {
		shape = append(shape, 1)
	}
	if have := []int{p.Height, p.Width, p.Channels}; !slices.Equal(have, shape) {
		t.Fatalf("%s: %v, want %v", want.Name, have, shape)
	}
	worst := 0.0
	for i, v := range want.Float64s() {
		worst = max(worst, math.Abs(v-float64(p.at(i))))
	}
	return worst
}

// Files hold what Pillow finds in them: lossless ones and WebP to the bit, JPEG but for the rounding of
// the cosine transform, of which libjpeg's is not exact.
func TestFiles(t *testing.T) {
	want := expected(t)
	files, err := filepath.Glob(filepath.Join(golden, "files", "*"))
	if err != nil || len(files) < 30 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		p, err := Read(file, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		most := 0.0
		if filepath.Ext(file) == ".jpg" {
			most = 2
		}
		name := "files." + filepath.Base(file)
		if name == "files.clear.gif" { // the colour of what is not seen is black
			p, want[name] = seen(p), fromPicture(name, seen(picture(t, want[name])))
		}
		if d := same(t, p, want[name]); d > most {
			t.Errorf("%s: %v differs by %v, want at most %v", name, p, d, most)
		} else if d > 0 {
			t.Logf("%s differs by %v", name, d)
		}
	}
}

// seen makes the colours of what is not seen black.
func seen(p *Picture) *Picture {
	q := p.multiplied()
	q.divide()
	return q
}

func fromPicture(name string, p *Picture) tensorfile.Tensor {
	var v []float32
	for _, s := range samples(p) {
		v = append(v, float32(s))
	}
	return tensorfile.FromFloat32s(name, v, p.Height, p.Width, p.Channels)
}

func picture(t *testing.T, x tensorfile.Tensor) *Picture {
	t.Helper()
	shape := append(x.Type.Sizes(), 1)
	p := New(shape[1], shape[0], shape[2], x.Type.DType == ir.I32)
	for i, v := range x.Float64s() {
		p.set(i, float32(v))
	}
	return p
}

// Resizing equals Pillow's, to the bit.
func TestResize(t *testing.T) {
	want, n := expected(t), 0
	for name, x := range want {
		part := strings.Split(name, ".")
		if part[0] != "resize" {
			continue
		}
		n++
		var w, h int
		fmt.Sscanf(part[3], "%dx%d", &w, &h)
		source := picture(t, want["source."+part[1]])
		before := slices.Clone(samples(source))
		p, err := source.Resize(w, h, part[2])
		if err != nil {
			t.Fatal(err)
		}
		if d := same(t, p, x); d > 0 {
			t.Errorf("%s differs by %v", name, d)
		}
		if !slices.Equal(before, samples(source)) {
			t.Errorf("%s: the source was changed", name)
		}
	}
	if n < 100 {
		t.Errorf("only %d sizes", n)
	}
}

// Changes of colours equal torchvision's of pictures, to the bit.
func TestColours(t *testing.T) {
	want, n := expected(t), 0
	for name, x := range want {
		part := strings.SplitN(name, ".", 4)
		if part[0] != "colour" {
			continue
		}
		n++
		factor, err := strconv.ParseFloat(part[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		p := picture(t, want["source."+part[1]])
		q := map[string]func(float64) *Picture{"brightness": p.Brightness, "contrast": p.Contrast, "saturation": p.Saturation, "hue": p.Hue}[part[2]](factor)
		if d := same(t, q, x); d > 0 {
			t.Errorf("%s differs by %v", name, d)
		}
	}
	if n < 20 {
		t.Errorf("only %d changes", n)
	}
	rgb := picture(t, want["source.rgb"])
	if d := same(t, rgb.WithChannels(1), want["grey.rgb"]); d > 0 {
		t.Errorf("grey differs by %v", d)
	}
	if q, err := rgb.Middle(9, 8); err != nil || same(t, q, want["middle"]) > 0 {
		t.Error("the middle differs", err)
	}
}

// A tensor equals torchvision's ToTensor and Normalize to the bit, and becomes the picture again.
func TestTensor(t *testing.T) {
	want := expected(t)
	p := picture(t, want["source.rgb"])
	a := Normal{Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
	data, shape, err := Tensor([]*Picture{p}, a)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(data, want["tensor"].Float32s()) {
		t.Error("the tensor differs")
	}
	back, err := FromTensor(func(i int) []float32 { n := shape[2] * shape[3]; return data[i*n : (i+1)*n] }, shape, a, 8)
	if err != nil || !slices.Equal(back[0].Pix, p.Pix) {
		t.Error("the picture of the tensor differs", err)
	}
}

// Texts of PNG files are read, and those that are written are those that are read.
func TestText(t *testing.T) {
	p, err := Read(filepath.Join(golden, "files", "rgb.png"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Text{{"Title", "a picture"}, {"Long", strings.Repeat("word ", 400)}, {"Autor", "Zoë — größer"}, {"Packed", strings.Repeat("größer ", 200)}}
	if !slices.Equal(p.Text, want) {
		t.Errorf("texts are %q", p.Text)
	}
	for _, q := range []*Picture{p, p.WithBits(16), p.WithChannels(1), p.WithChannels(4), p.WithChannels(1).WithBits(16), p.WithChannels(4).WithBits(16)} {
		data, err := encoded("x.PNG", q, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if q.Channels == 4 { // opaque everywhere
			q = q.WithChannels(3)
		}
		if r.String() != q.String() || !slices.Equal(r.Pix, q.Pix) || !slices.Equal(r.Deep, q.Deep) || !slices.Equal(r.Text, want) {
			t.Errorf("%v came back as %v with %d texts", q, r, len(r.Text))
		}
	}
}

// Every kind of picture that PNG has comes back as it was written.
func TestWritePNG(t *testing.T) {
	for _, name := range []string{"rgba.png", "grey_alpha.png", "grey16.png", "rgb16.png", "rgba16.png", "grey_alpha16.png"} {
		p, err := Read(filepath.Join(golden, "files", name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := encoded(name, p, 0)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Decode(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if q = q.WithChannels(p.Channels); !slices.Equal(q.Pix, p.Pix) || !slices.Equal(q.Deep, p.Deep) {
			t.Errorf("%s came back as %v and differs", name, q)
		}
	}
}

// JPEG is near what was written, without alpha, before white.
func TestWriteJPEG(t *testing.T) {
	p, err := Read(filepath.Join(golden, "files", "rgba.png"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := encoded("x.jpeg", p, 95)
	if err != nil {
		t.Fatal(err)
	}
	q, err := Decode(data, Options{})
	if err != nil || q.Channels != 3 {
		t.Fatal(q, err)
	}
	sum, want := 0.0, samples(p.Over(255, 255, 255))
	for i, v := range samples(q) {
		sum += (v - want[i]) * (v - want[i])
	}
	if psnr := 10 * math.Log10(255*255*float64(len(want))/sum); psnr < 24 {
		t.Errorf("signal to noise %.1f dB", psnr)
	}
	if _, err := encoded("x.bmp", p, 95); err == nil || err.Error() != `extension ".bmp" is not one of .png, .jpg, .jpeg` {
		t.Error(err)
	}
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden, "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A photograph of 12 million pixels becomes a model's input.
func BenchmarkResize(b *testing.B) {
	p := New(4000, 3000, 3, false)
	for b.Loop() {
		if _, err := p.Resize(512, 384, "bicubic"); err != nil {
			b.Fatal(err)
		}
	}
}

// encoded is a picture as a file.
func encoded(path string, p *Picture, quality int) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, path, p, quality)
	return b.Bytes(), err
}
