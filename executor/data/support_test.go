package data

import (
	"os"
	"path/filepath"
	"testing"
)

// sharedFile returns the path of a file of the shared data, or skips the test.
func sharedFile(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("PIPE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no shared data: %v (set PIPE_DATA)", err)
	}
	return path
}

// write makes a file in a folder of the test.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesEncoder gives the bytes of a text as ids, 256 before it and 257 after it if it is to add what is special.
type bytesEncoder struct{ plain bool }

func (e bytesEncoder) Encode(dst []int32, text string, special bool) ([]int32, error) {
	special = special && !e.plain
	if special {
		dst = append(dst, 256)
	}
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	if special {
		dst = append(dst, 257)
	}
	return dst, nil
}

func (bytesEncoder) Size() int { return 300 }

func (bytesEncoder) Decode(ids []int32, _ bool) (string, error) {
	var b []byte
	for _, id := range ids {
		switch id {
		case 256:
			b = append(b, "<s>"...)
		case 257:
			b = append(b, "</s>"...)
		default:
			b = append(b, byte(id))
		}
	}
	return string(b), nil
}

// opened returns the data set of one source.
func openSet(t testing.TB, a Attr, o Options) *Dataset {
	t.Helper()
	d, err := Open(a, bytesEncoder{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func loader(t testing.TB, d *Dataset, o BatchOptions, from Position) *Loader {
	t.Helper()
	l, err := d.Batches(o, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// defaults returns the Attr of a document that gives nothing but files.
func defaults(files ...string) Attr {
	return Attr{
		Files: files, Kind: "auto", Format: "text", Document: "file", Layout: "headings", Special: true,
		OnError: "stop", Weight: 1,
	}
}

// defaultBatches returns the options of a document that gives nothing but sizes.
func defaultBatches(batch, seq int) BatchOptions {
	return BatchOptions{Batch: batch, Seq: seq, Order: "shuffle", Rows: "pack", Long: "split", Isolate: true}
}

// newCharacters makes the vocabulary of the characters in a text.
func newCharacters(text string) *Characters {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return characters(seen)
}
