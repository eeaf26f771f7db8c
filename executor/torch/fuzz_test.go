package torch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRead reads whole files. Every tensor of one that is accepted can be
// gathered from its storage.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../../testdata/golden/torch/*")
	if err != nil || len(files) < 20 {
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
		read, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 4<<10 || !utf8.ValidString(s) {
				t.Errorf("not a one-line message: %q", s)
			}
			return
		}
		seen := map[string]bool{}
		for _, x := range read.Tensors {
			if seen[x.Name] || x.Bytes() < 0 || x.Bytes() > max(mostOver, x.Storage.Bytes) {
				t.Fatalf("%+v", x)
			}
			seen[x.Name] = true
			s := x.Storage
			if s.Entry != nil && s.Entry.Size < s.Bytes || (s.Entry == nil || s.Entry.Stored) && s.Offset+s.Bytes > int64(len(text)) {
				t.Fatalf("%+v of %+v is not in the file", x, s)
			}
			if s.Bytes > 1<<20 || x.Bytes() > 1<<20 {
				continue
			}
			if got := x.Gather(make([]byte, s.Bytes)); int64(len(got)) != x.Bytes() {
				t.Fatalf("%+v: %d bytes", x, len(got))
			}
		}
	})
}
