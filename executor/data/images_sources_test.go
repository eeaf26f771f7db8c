package data

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"

	"pipe.dev/compiler/ir"
)

// The buckets are those of kohya's scripts for a square of 512; every picture has one of them, and comes once in an epoch.
func TestBuckets(t *testing.T) {
	t.Parallel()
	b := BucketsAttr{Resolution: 512, Multiple: 64, Smallest: 256, Largest: 1024}
	sizes, err := b.sizes()
	want := "[[256 832] [256 896] [256 960] [256 1024] [320 704] [320 768] [384 640] [448 576] [512 512] [576 448] [640 384] [704 320] [768 320] [832 256] [896 256] [960 256] [1024 256]]"
	if fmt.Sprint(sizes) != want || err != nil {
		t.Errorf("buckets %v, want %s: %v", sizes, want, err)
	}
	dir := t.TempDir()
	for i := range 11 {
		w, h := 40, 20
		if i%3 == 1 {
			w, h = 20, 41
		}
		writeFile(t, filepath.Join(dir, fmt.Sprintf("%02d.png", i)), pngOf(t, w, h, i))
	}
	writeFile(t, filepath.Join(dir, "small.png"), pngOf(t, 12, 12, 1))
	f := look(t, map[string]any{"name": "flip", "p": json.Number("1")})
	f.Shape, f.Names, f.Width = []int{3, 0, 0}, []string{"", "height", "width"}, 0
	f.Images.Buckets = &BucketsAttr{Resolution: 24, Multiple: 8, Smallest: 8, Largest: 48, Crop: "random", Enlarge: true}
	ids := Field{Name: "time_ids", DType: ir.F32, Width: 6}
	a := imageAttr(t, dir)
	a.Columns = map[string][]string{"time_ids": {"original_size", "crop", "target_size"}}
	e, err := OpenExamples([]Attr{a}, []Field{f, ids}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := batchOf(4)
	o.Epochs = 1
	l, err := e.Batches(o, nil, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	shapes := l.Shapes(100)
	var got Batch
	counts, sources := map[int64]int{}, map[string]int{}
	for i := 0; ; i++ {
		if err := l.Next(&got); errors.Is(err, io.EOF) {
			if i != len(shapes) {
				t.Errorf("%d batches, %d were foretold", i, len(shapes))
			}
			break
		} else if err != nil {
			t.Fatal(err)
		}
		s := e.sizes[got.Bucket]
		if got.Rows != shapes[i].Rows || got.Bucket != shapes[i].Bucket || len(got.Values["image"]) != 4*3*s[0]*s[1]*got.Rows {
			t.Errorf("batch %d has %d rows of bucket %v, %v foretold", i, got.Rows, s, shapes[i])
		}
		for row, d := range got.Draws {
			counts[d]++
			id := floats(got.Values["time_ids"][24*row : 24*row+24])
			sources[fmt.Sprint(id[0], id[1])]++
			if id[4] != float32(s[1]) || id[5] != float32(s[0]) || id[2] < 0 || id[3] < 0 {
				t.Errorf("batch %d, row %d: time ids %v in the bucket %v", i, row, id, s)
			}
		}
	}
	if len(counts) != 12 || sources["20 40"] != 7 || sources["41 20"] != 4 || sources["12 12"] != 1 {
		t.Errorf("%d pictures came, of the sizes %v", len(counts), sources)
	}
	o.Epochs = 0
	l2, err := e.Batches(o, nil, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	all, after := run(t, l2, 9)
	l3, err := e.Batches(o, nil, after[3])
	if err != nil {
		t.Fatal(err)
	}
	defer l3.Close()
	rest, _ := run(t, l3, 5)
	sameBatches(t, "after 4 batches of buckets", rest, all[4:])
	f.Images.Buckets.Enlarge = false
	if e, err = OpenExamples([]Attr{a}, []Field{f, ids}, Options{}); err != nil || e.Len() == 12 || e.Dropped().Rows == 0 || e.Len()+int(e.Dropped().Rows) != 12 {
		t.Errorf("%d pictures are kept, %+v are not: %v", e.Len(), e.Dropped(), err)
	}
}

// Texts beside pictures, rows of metadata, archives and Parquet files give the same examples.
func TestImageSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type feature struct {
		Bytes []byte `parquet:"bytes,optional"`
		Path  string `parquet:"path,optional"`
	}
	type row struct {
		Image feature `parquet:"image"`
		Text  string  `parquet:"text"`
		Label int64   `parquet:"label"`
	}
	var rows []row
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	member := func(name string, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	lines := ""
	for i := range 5 {
		p, text := pngOf(t, 18+i, 20, i), fmt.Sprintf("picture %d", i)
		writeFile(t, filepath.Join(dir, "flat", fmt.Sprintf("%d.png", i)), p)
		writeFile(t, filepath.Join(dir, "flat", fmt.Sprintf("%d.txt", i)), []byte(text+"\n"))
		writeFile(t, filepath.Join(dir, "meta", "in", fmt.Sprintf("%d.png", i)), p)
		lines += fmt.Sprintf("{\"file_name\": \"in/%d.png\", \"text\": %q, \"label\": %d}\n", i, text, i%2)
		member(fmt.Sprintf("in/%d.png", i), p)
		member(fmt.Sprintf("in/%d.cls", i), []byte(fmt.Sprint(i%2)))
		member(fmt.Sprintf("in/%d.json", i), []byte(fmt.Sprintf("{\"text\": %q}", text)))
		rows = append(rows, row{feature{p, fmt.Sprintf("%d.png", i)}, text, int64(i % 2)})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "meta", "metadata.jsonl"), []byte(lines))
	writeFile(t, filepath.Join(dir, "shard", "0.tar"), archive.Bytes())
	var table bytes.Buffer
	pw := parquet.NewGenericWriter[row](&table, parquet.KeyValueMetadata("huggingface", `{"info": {"features": {"label": {"names": ["even", "odd"], "_type": "ClassLabel"}}}}`))
	if _, err := pw.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "hub", "data", "0.parquet"), table.Bytes())
	text := Field{Name: "text", DType: ir.I32, Width: 12, Shape: []int{12}, Tokens: func(s string) ([]int32, error) {
		ids := make([]int32, 12)
		for i, c := range s {
			ids[i] = c
		}
		return ids, nil
	}}
	var want []map[string][]byte
	for _, c := range []struct {
		at     string
		fields []Field
	}{
		{"meta", []Field{look(t), text, label()}}, {"flat", []Field{look(t), text}}, {"shard", []Field{look(t), text, label()}},
		{"hub", []Field{look(t), text, label()}}, {"hub", []Field{look(t), text, label()}},
	} {
		o := Options{Cache: filepath.Join(dir, "cache")}
		e, err := OpenExamples([]Attr{imageAttr(t, filepath.Join(dir, c.at))}, c.fields, o)
		if err != nil {
			t.Fatal(c.at, err)
		}
		b := batchOf(5)
		b.Order = "file"
		l, err := e.Batches(b, nil, Position{})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := run(t, l, 1)
		l.Close()
		if c.at == "hub" && !slices.Equal(e.Classes("label"), []string{"even", "odd"}) {
			t.Errorf("classes %v", e.Classes("label"))
		}
		if want == nil {
			want = got
			continue
		}
		if c.at == "flat" {
			got[0]["label"] = want[0]["label"]
		}
		sameBatches(t, c.at, got, want)
	}
}

// Mixed batches keep sums of probabilities at 1, in the share of the pictures, and are drawn by the number of the batch.
func TestMix(t *testing.T) {
	t.Parallel()
	soft := Field{Name: "label", DType: ir.F32, Width: 3, Shape: []int{3}}
	e, err := OpenExamples([]Attr{imageAttr(t, classFolder(t, 4))}, []Field{look(t), soft}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*MixAttr{{Mixup: 0.4, P: 1}, {CutMix: 1, P: 1}, {Mixup: 1, CutMix: 1, P: 0.5}} {
		if err := e.CheckMix(m); err != nil {
			t.Fatal(err)
		}
		load := func(mix *MixAttr) []map[string][]byte {
			o := batchOf(6)
			o.Mix, o.Workers = mix, 3
			l, err := e.Batches(o, nil, Position{})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			got, _ := run(t, l, 8)
			return got
		}
		plain, mixed := load(nil), load(m)
		sameBatches(t, "mixed again", load(m), mixed)
		changed := 0
		for i := range mixed {
			if bytes.Equal(mixed[i]["image"], plain[i]["image"]) {
				continue
			}
			changed++
			y, x, p := floats(mixed[i]["label"]), floats(mixed[i]["image"]), floats(plain[i]["image"])
			same := 0
			for k := range x {
				if x[k] == p[k] {
					same++
				}
			}
			share := 0.0 // of the own class, where the other's is another
			for row := range 6 {
				sum := 0.0
				for _, v := range y[3*row : 3*row+3] {
					sum += float64(v)
				}
				if math.Abs(sum-1) > 1e-6 {
					t.Errorf("batch %d: probabilities sum to %v", i, sum)
				}
				for k, v := range floats(plain[i]["label"])[3*row : 3*row+3] {
					if v == 1 && y[3*row+k] < 1 {
						share = float64(y[3*row+k])
					}
				}
			}
			if m.Mixup == 0 && share > 0 && math.Abs(float64(same)/float64(len(x))-share) > 0.03 {
				t.Errorf("batch %d: %v of the pixels are as they were, the class counts %v", i, float64(same)/float64(len(x)), share)
			}
		}
		if changed == 0 || m.P == 1 && changed < 7 || m.P < 1 && changed == 8 {
			t.Errorf("%+v changed %d of 8 batches", m, changed)
		}
	}
	hard, err := OpenExamples([]Attr{imageAttr(t, classFolder(t, 1))}, []Field{look(t), label()}, Options{})
	if err != nil || hard.CheckMix(&MixAttr{Mixup: 1, P: 1}) == nil {
		t.Errorf("numbers of classes are mixed: %v", err)
	}
}
