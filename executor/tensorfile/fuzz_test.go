package tensorfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pipe.dev/executor/npy"
)

func checkMessage(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); s == "" || strings.Contains(s, "\n") || len(s) > 4<<10 || !utf8.ValidString(s) {
		t.Errorf("not a one-line message: %q", s)
	}
}

// FuzzNPY reads whole .npy files. What is accepted must be consistent, and the
// same after it is written and read again.
func FuzzNPY(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.npy")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(array("<f4", "(0, 4294967296, 4294967296)", 0)))
	f.Add([]byte(npyFile(`{"shape":(3L,1),"fortran_order":True,"descr":">i2"}`, 6)))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := readNPY(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			checkMessage(t, err)
			return
		}
		if err := got.check(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := writeNPY(&b, got); err != nil {
			t.Fatal(err)
		}
		again, err := readNPY(&b, int64(b.Len()))
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if !again.Type.Equal(got.Type) || !bytes.Equal(again.Data, got.Data) {
			t.Fatalf("%s %v after writing, want %s %v", again.Type, again.Data, got.Type, got.Data)
		}
	})
}

// FuzzNPYHeader reads the text of headers alone, where most mistakes can be.
func FuzzNPYHeader(f *testing.F) {
	for _, text := range []string{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n",
		"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3L,)}",
		`{"shape":(),"fortran_order":True,"descr":"|b1"}`,
		"{'shape': (-1, 99999999999999999999), 'shape': (3)}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := npy.Parse(text)
		if err != nil {
			checkMessage(t, err)
			return
		}
		n := 1
		for _, s := range h.Shape {
			if s < 0 {
				t.Fatalf("shape %v", h.Shape)
			}
			n *= s
		}
		if n != h.Elems || h.Elem.Size < 1 || h.Elem.Size > 8 || h.Elem.To.Size() < h.Elem.Size {
			t.Fatalf("%+v", h)
		}
	})
}
