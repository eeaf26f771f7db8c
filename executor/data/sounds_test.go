package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/augment"
)

// wavOf is a WAV file of n samples at a rate, of which the i-th is (i+1)/1024.
func wavOf(t *testing.T, rate, n int) []byte {
	t.Helper()
	c := &audio.Clip{Rate: rate, Channels: 1, Samples: make([]float32, n)}
	for i := range c.Samples {
		c.Samples[i] = float32(i+1) / 1024
	}
	path := filepath.Join(t.TempDir(), "x.wav")
	if _, err := audio.Write(path, c, 0); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func soundAttr(t *testing.T, files ...string) Attr {
	a := imageAttr(t, files...)
	a.Format = Sounds
	return a
}

// ear is an input of n samples at 8000 Hz; of several lengths, if n is 0.
func ear(t *testing.T, n int, train ...any) Field {
	t.Helper()
	x, err := attr.Decode(SoundsAttr{Cut: "random", MaxSamples: 1 << 20}, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	in := &SoundInput{SoundsAttr: x.(SoundsAttr)}
	in.Rate, in.Cut, in.MaxSamples = 8000, "random", 1<<20
	if in.Train, err = augment.Table().Decode(train); err != nil {
		t.Fatal(err)
	}
	f := Field{Name: "audio", DType: ir.F32, Width: n, Shape: []int{n}, Names: []string{""}, Sound: in}
	if n == 0 {
		f.Names[0], in.Lengths = "4*frames", []int{40, 80}
	}
	return f
}

func labelField() Field { return Field{Name: "label", DType: ir.I32, Width: 1} }

// heard are all batches.
func heard(t *testing.T, e *Examples, o BatchOptions) (out []Batch) {
	t.Helper()
	l, err := e.Batches(o, nil, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for {
		var b Batch
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
}

var inOrder = BatchOptions{Batch: 2, Order: "sequence", Epochs: 1}

// TestSoundFolder: classes by folder; longer clips are cut, shorter ones filled up,
// other rates changed.
func TestSoundFolder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "yes", "a.wav"), wavOf(t, 8000, 30))
	writeFile(t, filepath.Join(dir, "no", "b.wav"), wavOf(t, 8000, 70))
	writeFile(t, filepath.Join(dir, "no", "c.wav"), wavOf(t, 16000, 100))
	writeFile(t, filepath.Join(dir, "no", "notes.md"), []byte("no sound"))
	a := soundAttr(t, dir)
	samples := Field{Name: "heard", DType: ir.F32, Width: 1}
	a.Columns = map[string][]string{"heard": {"samples"}}
	e, err := OpenExamples([]Attr{a}, []Field{ear(t, 50), labelField(), samples}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Classes("label"); !slices.Equal(got, []string{"no", "yes"}) {
		t.Error(got)
	}
	o := inOrder
	o.Evaluate = true
	list := heard(t, e, o)
	first := floats(list[0].Values["audio"])
	if len(list) != 2 || first[0] != 11./1024 || first[49] != 60./1024 { // the middle of 70
		t.Errorf("%d batches, %v", len(list), first)
	}
	if got := floats(list[1].Values["audio"]); got[29] != 30./1024 || got[30] != 0 || got[49] != 0 {
		t.Error(got)
	}
	if n := append(floats(list[0].Values["heard"]), floats(list[1].Values["heard"])...); !slices.Equal(n, []float32{50, 50, 30}) {
		t.Error(n)
	}
}

// TestSoundBarred: metadata as LJSpeech has it, of sound in a folder below.
func TestSoundBarred(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "wavs", "LJ001-0001.wav"), wavOf(t, 8000, 30))
	writeFile(t, filepath.Join(dir, "wavs", "LJ001-0002.wav"), wavOf(t, 8000, 40))
	table := filepath.Join(dir, "metadata.csv")
	a := soundAttr(t, dir)
	a.Columns = map[string][]string{"label": {"text"}}
	open := func(text string) (*Examples, error) {
		writeFile(t, table, []byte(text))
		return OpenExamples([]Attr{a}, []Field{ear(t, 40), labelField()}, Options{})
	}
	e, err := open("LJ001-0002|He paid \"$5\", then.|He paid \"five dollars\", then.\r\n\nLJ001-0001|Two.\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Classes("label"); !slices.Equal(got, []string{`He paid "five dollars", then.`, "Two."}) {
		t.Errorf("%q", got)
	}
	list := heard(t, e, inOrder)
	if got := floats(list[0].Values["audio"]); len(list) != 1 || got[39] != 40./1024 || got[40+29] != 30./1024 || got[79] != 0 {
		t.Errorf("%d batches, %v", len(list), got)
	}
	for text, want := range map[string]string{
		"LJ001-0001|a\nLJ001-0003|b|c\n": `metadata.csv:2: id: is "LJ001-0003", and the folder has no`,
		"LJ001-0001|a|b|c\n":             "metadata.csv:1: has 4 fields between |",
		"LJ001-0001|\xff\n":              "metadata.csv:1: text: text is not UTF-8",
	} {
		if _, err := open(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestSoundArchive: a compressed archive, whose names say what is in them.
func TestSoundArchive(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	put := func(name string, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	put("all/README", []byte("what this is"))
	for i := range 4 {
		put(fmt.Sprintf("all/%d_ann_%d.wav", 3+i%2, i), wavOf(t, 8000, 20+i))
	}
	w.Close()
	z.Close()
	path := filepath.Join(t.TempDir(), "all.tar.gz")
	writeFile(t, path, packed.Bytes())
	a := soundAttr(t, path)
	a.Pattern, a.Without = "{label}_{who}_{index}", map[string][]string{"index": {"1", "7"}}
	cache := t.TempDir()
	for range 2 {
		e, err := OpenExamples([]Attr{a}, []Field{ear(t, 30), labelField()}, Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		list := heard(t, e, inOrder)
		if e.Len() != 3 || len(list) != 2 || list[0].Values["label"][0] != 3 || list[1].Values["label"][0] != 4 || floats(list[1].Values["audio"])[22] != 23./1024 {
			t.Errorf("%d examples: %v", e.Len(), list)
		}
	}
	a.Only = map[string][]string{"index": {"1", "2"}}
	e, err := OpenExamples([]Attr{a}, []Field{ear(t, 30), labelField()}, Options{Cache: cache})
	if err != nil || e.Len() != 1 {
		t.Error(e, err)
	}
	for want, change := range map[string]func(a *Attr){
		`all.tar.gz:2: is called "3_ann_0", want names as {label}-{index}`: func(a *Attr) { a.Pattern = "{label}-{index}" },
		"speaker: is missing, and the source chooses by it":                func(a *Attr) { a.Only = map[string][]string{"speaker": {"ann"}} },
		"with nothing between label and index":                             func(a *Attr) { a.Pattern = "{label}{index}" },
		"which names no column":                                            func(a *Attr) { a.Pattern = "x" },
		"there is no folder to unpack":                                     nil,
	} {
		b, o := a, Options{Cache: cache}
		if change == nil {
			o.Cache = ""
		} else {
			change(&b)
		}
		err := b.Check()
		if err == nil {
			_, err = OpenExamples([]Attr{b}, []Field{ear(t, 30), labelField()}, o)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	writeFile(t, path, packed.Bytes()[:packed.Len()/2])
	if _, err := OpenExamples([]Attr{a}, []Field{ear(t, 30), labelField()}, Options{Cache: cache}); err == nil || !strings.Contains(err.Error(), "damaged archive") {
		t.Error(err)
	}
}

// TestSoundLengths: clips of like lengths share batches, and what a row becomes does not
// depend on who makes it.
func TestSoundLengths(t *testing.T) {
	dir := t.TempDir()
	rows := "file_name,label\n"
	for i, n := range []int{30, 70, 40, 41, 200} {
		name := fmt.Sprintf("%d.wav", i)
		writeFile(t, filepath.Join(dir, name), wavOf(t, 8000, n))
		rows += fmt.Sprintf("%s,%d\n", name, i)
	}
	writeFile(t, filepath.Join(dir, "metadata.csv"), []byte(rows))
	f := ear(t, 0, map[string]any{"name": "noise", "p": json.Number("1")}, map[string]any{"name": "shift"}, map[string]any{"name": "room"}, map[string]any{"name": "speed"})
	e, err := OpenExamples([]Attr{soundAttr(t, dir)}, []Field{f, labelField()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	one, many := inOrder, inOrder
	one.Workers, many.Workers, one.Seed, many.Seed = 1, 4, 5, 5
	a, b := heard(t, e, one), heard(t, e, many)
	var got []string
	for i := range a {
		frames := e.Sizes(a[i].Bucket)["frames"]
		got = append(got, fmt.Sprint(a[i].Rows, frames))
		if len(a[i].Values["audio"]) != 4*a[i].Rows*4*frames || !bytes.Equal(a[i].Values["audio"], b[i].Values["audio"]) {
			t.Errorf("batch %d has %d bytes, or other ones with more goroutines", i, len(a[i].Values["audio"]))
		}
	}
	if !slices.Equal(got, []string{"2 10", "2 20", "1 20"}) && !slices.Equal(got, []string{"2 20", "2 10", "1 20"}) {
		t.Error(got)
	}
	one.Seed = 6
	if c := heard(t, e, one); bytes.Equal(a[0].Values["audio"], c[0].Values["audio"]) {
		t.Error("another seed changes nothing")
	}
}

// TestBadSound: what is wrong is told in one line, with the file.
func TestBadSound(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.wav"), wavOf(t, 8000, 30)[:60])
	random := ear(t, 30)
	random.Sound.Eval, _ = augment.Table().Decode([]any{map[string]any{"name": "gain"}})
	named := ear(t, 0)
	named.Sound.Lengths = nil
	odd := ear(t, 0)
	odd.Sound.Lengths = []int{41}
	for want, f := range map[string]Field{
		"a.wav: is cut off":            ear(t, 30),
		"eval.0 is gain, which is ran": random,
		"give lengths":                 named,
		"wants multiples of 4":         odd,
	} {
		_, err := OpenExamples([]Attr{soundAttr(t, dir)}, []Field{f}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := augment.Table().Decode([]any{map[string]any{"name": "nois"}}); err == nil || !strings.Contains(err.Error(), `did you mean "noise"`) && !strings.Contains(err.Error(), "did you mean noise") {
		t.Error(err)
	}
}
