package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
	"pipe.dev/executor/transform"
)

// pngOf is a PNG file of one colour per corner, told apart by n.
func pngOf(t *testing.T, w, h, n int) []byte {
	t.Helper()
	p := image.New(w, h, 3, false)
	for i := range p.Pix {
		p.Pix[i] = uint8(i*7 + n*31)
	}
	var b bytes.Buffer
	if err := image.EncodePNG(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// classFolder has n pictures of each of the classes b, a and c.
func classFolder(t *testing.T, n int) string {
	dir := t.TempDir()
	for k, class := range []string{"b", "a", "c"} {
		for i := range n {
			writeFile(t, filepath.Join(dir, class, fmt.Sprintf("%02d.png", i)), pngOf(t, 20+i%5, 24-i%3, k*n+i))
		}
	}
	return dir
}

func imageAttr(t *testing.T, files ...string) Attr {
	t.Helper()
	x, err := attr.Default(Attr{})
	if err != nil {
		t.Fatal(err)
	}
	a := x.(Attr)
	a.Files, a.Format = files, Images
	return a
}

// look is an input of pictures of 16 x 16 pixels, changed by chains.
func look(t *testing.T, train ...any) Field {
	t.Helper()
	x, err := attr.Default(ImagesAttr{})
	if err != nil {
		t.Fatal(err)
	}
	in := &ImageInput{ImagesAttr: x.(ImagesAttr)}
	if in.Train, err = transform.Table().Decode(train); err != nil {
		t.Fatal(err)
	}
	return Field{Name: "image", DType: ir.F32, Shape: []int{3, 16, 16}, Names: []string{"", "", ""}, Width: 768, Images: in}
}

func label() Field { return Field{Name: "label", DType: ir.I32, Width: 1} }

var jitter = []any{
	map[string]any{"name": "random_resized_crop", "size": json.Number("16")},
	map[string]any{"name": "flip"},
	map[string]any{"name": "color_jitter", "brightness": json.Number("0.4")},
}

func batchOf(n int) BatchOptions {
	return BatchOptions{Batch: n, Order: "shuffle", Rows: "pack", Long: "split", Seed: 5}
}

// run gives the next batches as copies.
func run(t *testing.T, l *ExampleLoader, n int) (list []map[string][]byte, after []Position) {
	t.Helper()
	var b Batch
	for range n {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		c := map[string][]byte{}
		for k, v := range b.Values {
			c[k] = bytes.Clone(v)
		}
		list, after = append(list, c), append(after, l.Position())
	}
	return list, after
}

func sameBatches(t *testing.T, name string, got, want []map[string][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d batches, want %d", name, len(got), len(want))
	}
	for i := range want {
		if !maps.EqualFunc(got[i], want[i], bytes.Equal) {
			t.Fatalf("%s: batch %d differs", name, i)
		}
	}
}

// Folders are classes in the order of their names; batches have the same bits whoever decodes them, and from any of their positions on.
func TestImageFolder(t *testing.T) {
	t.Parallel()
	e, err := OpenExamples([]Attr{imageAttr(t, classFolder(t, 6))}, []Field{look(t, jitter...), label()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Classes("label"); !slices.Equal(got, []string{"a", "b", "c"}) || e.Len() != 18 {
		t.Errorf("classes %v of %d pictures", got, e.Len())
	}
	o := batchOf(4)
	o.Mix = nil
	load := func(workers int, from Position) *ExampleLoader {
		o.Workers = workers
		l, err := e.Batches(o, nil, from)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	want, after := run(t, load(1, Position{}), 10)
	got, _ := run(t, load(5, Position{}), 10)
	sameBatches(t, "5 goroutines", got, want)
	for _, at := range []int{0, 3, 6} {
		text, err := json.Marshal(after[at])
		var p Position
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, _ = run(t, load(3, p), 9-at)
		sameBatches(t, fmt.Sprintf("after %d", at+1), got, want[at+1:])
	}
	// The same example in another epoch is drawn anew: 18 examples are 4.5 batches.
	if slices.ContainsFunc(want[5:], func(m map[string][]byte) bool {
		return slices.ContainsFunc(want[:5], func(w map[string][]byte) bool { return bytes.Equal(m["image"], w["image"]) })
	}) {
		t.Error("a batch of the second epoch is one of the first")
	}
	o.Seed = 6
	if other, _ := run(t, load(1, Position{}), 1); bytes.Equal(other[0]["image"], want[0]["image"]) {
		t.Error("another seed gives the same batch")
	}
}

// Evaluations see the same picture every time, brought to the size and cut around the middle; what is kept for them is from everywhere.
func TestImageSplit(t *testing.T) {
	t.Parallel()
	e, err := OpenExamples([]Attr{imageAttr(t, classFolder(t, 8))}, []Field{look(t, jitter...), label()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	train, eval := e.Split(0.25)
	if train.Len() != 18 || eval.Len() != 6 {
		t.Fatalf("%d and %d, want 18 and 6", train.Len(), eval.Len())
	}
	if got := eval.Report().Classes; len(got) < 2 {
		t.Errorf("kept are %v", got)
	}
	seen := map[int]bool{}
	for i := range 18 {
		seen[train.example(i)] = true
	}
	o := batchOf(6)
	o.Order, o.Epochs, o.Evaluate = "file", 1, true
	l, err := eval.Batches(o, nil, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, _ := run(t, l, 5)
	if len(got) != 1 {
		t.Fatalf("%d batches, want 1", len(got))
	}
	for row := range 6 {
		example := eval.example(row)
		if seen[example] {
			t.Errorf("example %d is trained on and kept", example)
		}
		p, err := image.Read(e.pictures[0][example].file, image.Options{})
		if err == nil {
			p, err = p.Fit(16, 16, "cover", "bilinear")
		}
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := image.Tensor([]*image.Picture{p}, image.Normal{})
		if have := floats(got[0]["image"][row*768*4 : (row+1)*768*4]); err != nil || !slices.Equal(have, want) {
			t.Errorf("row %d differs: %v", row, err)
		}
	}
}

// What is damaged, missing, or too large is told by its name before anything is trained, or left out and counted.
func TestBadPictures(t *testing.T) {
	t.Parallel()
	whole := pngOf(t, 20, 20, 1)
	bomb := slices.Clone(whole)
	binary.BigEndian.PutUint32(bomb[16:], 40000)
	binary.BigEndian.PutUint32(bomb[20:], 40000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"cut off":  {map[string][]byte{"a/1.png": whole[:len(whole)-20]}, "a/1.png: is a damaged PNG file"},
		"empty":    {map[string][]byte{"a/1.jpg": {}}, "a/1.jpg: is empty"},
		"no":       {map[string][]byte{"a/1.jpg": []byte("hello")}, "a/1.jpg: is no picture: want PNG, JPEG, WebP or GIF"},
		"bomb":     {map[string][]byte{"a/1.png": bomb}, "a/1.png: is a PNG of 40000 x 40000 pixels"},
		"missing":  {map[string][]byte{"metadata.csv": []byte("file_name,label\ngood.png,1\nx.png,2\n")}, "metadata.csv:3: image: there is no file"},
		"outside":  {map[string][]byte{"metadata.csv": []byte("file_name,label\n../x.png,2\n")}, "metadata.csv:2: file_name: is ../x.png, want the name of a picture in the folder"},
		"no names": {map[string][]byte{"metadata.jsonl": []byte(`{"file": "good.png"}`)}, "metadata.jsonl:1: file_name: is missing; there are file"},
		"no class": {map[string][]byte{"metadata.csv": []byte("file_name,kind\ngood.png,1\n")}, "metadata.csv:2: label: is missing, and the input label is made of it; there are file_name, image, kind"},
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "good.png"), whole)
		for file, data := range c.files {
			writeFile(t, filepath.Join(dir, file), data)
		}
		_, err := OpenExamples([]Attr{imageAttr(t, dir)}, []Field{look(t), label()}, Options{})
		var file *checkpoint.Error
		if err == nil || !errors.As(err, &file) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	dir := classFolder(t, 2)
	writeFile(t, filepath.Join(dir, "a", "99.png"), whole[:50])
	writeFile(t, filepath.Join(dir, "lost.png"), whole)
	a := imageAttr(t, dir)
	a.OnError = "skip"
	var told []string
	e, err := OpenExamples([]Attr{a}, []Field{look(t), label()}, Options{Report: func(err error) { told = append(told, err.Error()) }})
	if err != nil {
		t.Fatal(err)
	}
	r := e.Report()
	if r.Pictures != 6 || r.Skipped.Rows != 1 || len(told) != 1 || !strings.Contains(told[0], "99.png") || r.Dropped.Rows != 1 || !strings.Contains(r.Dropped.First[0], "lost.png") {
		t.Errorf("report %+v, told %v", r, told)
	}
}

// A picture whose damage shows only when it is decoded ends the training with its name, or the next one stands for it, always the same.
func TestDamageInside(t *testing.T) {
	t.Parallel()
	dir := classFolder(t, 2)
	broken := pngOf(t, 20, 20, 3)
	broken[60] ^= 0xff
	writeFile(t, filepath.Join(dir, "a", "01.png"), broken)
	for _, how := range []string{"stop", "skip"} {
		a := imageAttr(t, dir)
		a.OnError = how
		var told []string
		e, err := OpenExamples([]Attr{a}, []Field{look(t), label()}, Options{Report: func(err error) { told = append(told, err.Error()) }})
		if err != nil {
			t.Fatal(err)
		}
		o := batchOf(6)
		o.Epochs, o.Order, o.Workers = 1, "file", 3
		l, err := e.Batches(o, nil, Position{})
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		switch err := l.Next(&b); {
		case how == "stop" && (err == nil || !strings.Contains(err.Error(), "a/01.png: is a damaged PNG file")):
			t.Errorf("error %v", err)
		case how == "skip" && (err != nil || len(told) != 1):
			t.Errorf("error %v, told %v", err, told)
		case how == "skip":
			x := b.Values["image"]
			if !bytes.Equal(x[3072:6144], x[6144:9216]) || b.Values["label"][4] != 1 {
				t.Error("the next picture does not stand for the damaged one")
			}
		}
		l.Close()
	}
}
