package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// idxBytes is a file of numbers that are given as they lie in it.
func idxBytes(kind byte, sizes []uint32, numbers ...byte) []byte {
	b := []byte{0, 0, kind, byte(len(sizes))}
	for _, n := range sizes {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, numbers...)
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type packedFile struct {
	name string
	data []byte
}

func archived(t *testing.T, members ...packedFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// openIDX writes files and reads the columns images and labels of them.
func openIDX(t *testing.T, files ...packedFile) (*Examples, error) {
	t.Helper()
	dir := t.TempDir()
	a := Attr{Kind: "auto", Format: Columns, Document: "file", Layout: "headings", OnError: "stop", Weight: 1,
		Columns:   map[string][]string{"x": {"images-idx3-ubyte"}, "label": {"labels-idx1-ubyte"}},
		Normalize: map[string][]float64{"x": {127.5, 127.5}}}
	for _, m := range files {
		path := filepath.Join(dir, m.name)
		if err := os.WriteFile(path, m.data, 0o644); err != nil {
			t.Fatal(err)
		}
		a.Files = append(a.Files, path)
	}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	return OpenExamples([]Attr{a}, []Field{{Name: "x", DType: ir.F32, Width: 2}, {Name: "label", DType: ir.I32, Width: 1}}, Options{})
}

var (
	twoImages = idxBytes(0x08, []uint32{2, 1, 2}, 0, 255, 51, 204)
	twoLabels = idxBytes(0x08, []uint32{2}, 7, 3)
)

// The same examples come of files, packed files, and archives of either.
func TestIDX(t *testing.T) {
	images, labels := packedFile{"images-idx3-ubyte", twoImages}, packedFile{"labels-idx1-ubyte", twoLabels}
	inside := archived(t, packedFile{"a/readme", []byte("text")}, packedFile{"a/labels-idx1-ubyte.gz", gzipped(t, twoLabels)},
		packedFile{"a/images-idx3-ubyte", twoImages}, packedFile{"a/other-idx1-ubyte", []byte("not looked at")})
	for name, files := range map[string][]packedFile{
		"files":          {labels, images},
		"packed":         {{"images-idx3-ubyte.gz", gzipped(t, twoImages)}, labels},
		"archive":        {{"all.tar", inside}},
		"packed archive": {{"all.tgz", gzipped(t, inside)}},
		"long name":      {{"all.tar.gz", gzipped(t, inside)}},
	} {
		e, err := openIDX(t, files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if x, label := e.floats[0], e.ints[1]; !slices.Equal(x, []float32{-1, 1, -0.6, 0.6}) || !slices.Equal(label, []int32{7, 3}) {
			t.Errorf("%s: x %v, labels %v", name, x, label)
		}
	}
}

// Every element type is big-endian and signed as it says.
func TestIDXTypes(t *testing.T) {
	for kind, b := range map[byte][]byte{0x08: {3, 254}, 0x09: {3, 0xfe}, 0x0B: {0, 3, 0xff, 0xfe}, 0x0C: {0, 0, 0, 3, 0xff, 0xff, 0xff, 0xfe},
		0x0D: {0x40, 0x40, 0, 0, 0xc0, 0, 0, 0}, 0x0E: {0x40, 8, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0}} {
		x, err := parseIDX("f", bytes.NewReader(idxBytes(kind, []uint32{2}, b...)))
		if err != nil {
			t.Errorf("type %#x: %v", kind, err)
			continue
		}
		want := []float64{3, -2}
		if kind == 0x08 {
			want[1] = 254
		}
		if got := []float64{x.kind.read(x.data), x.kind.read(x.data[x.kind.size:])}; !slices.Equal(got, want) {
			t.Errorf("type %#x: %v, want %v", kind, got, want)
		}
	}
}

// Each damaged file is one line that names it.
func TestIDXFaults(t *testing.T) {
	labels := packedFile{"labels-idx1-ubyte", twoLabels}
	images := func(b []byte) packedFile { return packedFile{"images-idx3-ubyte", b} }
	packed := gzipped(t, twoImages)
	whole := archived(t, images(twoImages), labels)
	for want, files := range map[string][]packedFile{
		"images-idx3-ubyte: ends within its header":                                                  {images(twoImages[:9]), labels},
		"images-idx3-ubyte: its header says 4 bytes of numbers, and there are 3":                     {images(twoImages[:19]), labels},
		"images-idx3-ubyte: its header says 4 bytes of numbers, and there are more":                  {images(append(slices.Clone(twoImages), 1)), labels},
		"images-idx3-ubyte: is no IDX file: it begins with 89 50 4e 47":                              {images([]byte("\x89PNG....")), labels},
		"images-idx3-ubyte: is a single number":                                                      {images(idxBytes(0x08, nil, 1)), labels},
		"images-idx3-ubyte: axis 1 has 4294967295, which makes it empty or more than 4 GB":           {images(idxBytes(0x0E, []uint32{9, 1<<32 - 1, 1<<32 - 1})), labels},
		"labels-idx1-ubyte: has 3 rows, and ":                                                        {images(twoImages), {labels.name, idxBytes(0x08, []uint32{3}, 1, 2, 3)}},
		"images-idx3-ubyte.gz: its numbers: ":                                                        {{"images-idx3-ubyte.gz", slices.Concat(packed[:len(packed)-8], make([]byte, 8))}, labels},
		"images-idx3-ubyte.gz: ends within its ":                                                     {{"images-idx3-ubyte.gz", packed[:len(packed)-9]}, labels},
		"images-idx3-ubyte:1: images-idx3-ubyte: 3 numbers, want 2 for x":                            {images(idxBytes(0x08, []uint32{2, 3}, 1, 2, 3, 4, 5, 6)), labels},
		"no file is called labels-idx1-ubyte; there are images-idx3-ubyte, lables-idx1-ubyte; did y": {images(twoImages), {"lables-idx1-ubyte", twoLabels}},
		"all.tar: has no IDX file":                                                                   {{"all.tar", archived(t, packedFile{"x.png", nil})}},
		"all.tar: images-idx3-ubyte: ends within its numbers":                                        {{"all.tar", whole[:530]}},
		"all.tar: b/labels-idx1-ubyte: is a second file called labels-idx1-ubyte":                    {{"all.tar", archived(t, labels, packedFile{"b/labels-idx1-ubyte", twoLabels})}},
		"x.csv: files of kind idx are columns of the same rows, and do not mix":                      {images(twoImages), {"x.csv", []byte("x\n1\n")}},
	} {
		_, err := openIDX(t, files...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// No bytes make the reader panic, or take more memory than they say.
func FuzzIDX(f *testing.F) {
	f.Add(twoImages)
	f.Add(twoLabels)
	f.Add(idxBytes(0x0D, []uint32{1 << 31, 1 << 31}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := parseIDX("f", bytes.NewReader(b)); err == nil && (len(x.data) > len(b) || len(x.data) != x.rows*x.width*x.kind.size) {
			t.Errorf("%d rows of %d from %d bytes", x.rows, x.width, len(b))
		}
	})
}
