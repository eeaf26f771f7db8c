package onnx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRead reads whole files. The values of every tensor of one that is
// accepted lie in it, or in another file.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../../testdata/golden/onnx/*.onnx")
	if err != nil || len(files) < 5 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Read(text)
		if err != nil {
			if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 8<<10 || !utf8.ValidString(s) {
				t.Errorf("not a one-line message: %q", s)
			}
			return
		}
		m.About()
		for _, x := range m.Tensors {
			switch {
			case x.External != "":
			case x.Make != nil:
				if x.Bytes > int64(8*len(text)) || int64(len(x.Make())) > x.Bytes {
					t.Fatalf("%+v of %d bytes", x, len(text))
				}
			case x.Offset < 0 || x.Bytes < 0 || x.Offset+x.Bytes > int64(len(text)):
				t.Fatalf("%+v is not in %d bytes", x, len(text))
			}
		}
	})
}
