package train

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/tokenizer"
)

// trained is testdata/trained.json.gz, made by testdata/gen.py.
type trained struct {
	Texts, Held     []string
	Cases, Unigrams []trainedCase
	Shakespeare     []trainedCase
}

type trainedCase struct {
	Name           string
	Attr           json.RawMessage
	Affixed        []string
	Result, SHA256 string
	Held           measures
	Size           int
}

func (c *trainedCase) attr(t testing.TB) Attr {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(c.Attr))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	a, err := attr.Decode(Defaults(), m)
	if err != nil {
		t.Fatal(err)
	}
	return a.(Attr)
}

func readTrained(t testing.TB) trained {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "trained.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var all trained
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// each gives texts without errors.
func each(texts []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, t := range texts {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func TestEqualsReference(t *testing.T) {
	all := readTrained(t)
	if len(all.Cases) < 20 {
		t.Fatalf("%d cases, want 20 at least", len(all.Cases))
	}
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := runOrdered(c.attr(t), each(all.Texts), nil, 2, c.Affixed)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.Result {
				at := 0
				for at < min(len(got), len(c.Result)) && got[at] == c.Result[at] {
					at++
				}
				cut := func(s string) string { return s[max(at-100, 0):min(at+100, len(s))] }
				t.Fatalf("differs at byte %d of %d, want %d:\n%s\nwant\n%s", at, len(got), len(c.Result), cut(string(got)), cut(c.Result))
			}
			if _, err := tokenizer.Parse("result", got); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// sharedText is a file of ../shared/data beside the repository; without it the test is skipped.
func sharedText(t testing.TB, path ...string) string {
	t.Helper()
	data := os.Getenv("PIPE_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	name := filepath.Join(append([]string{data}, path...)...)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Skipf("no shared data (set PIPE_DATA to its folder): %v", err)
	}
	return string(b)
}

func TestSharedShakespeare(t *testing.T) {
	lines := strings.SplitAfter(sharedText(t, "train", "tinyshakespeare.txt"), "\n")
	for _, c := range readTrained(t).Shakespeare {
		if c.SHA256 == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			got, err := runOrdered(c.attr(t), each(lines), nil, 2, c.Affixed)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(got)
			if s := hex.EncodeToString(sum[:]); s != c.SHA256 {
				t.Errorf("digest %s, want %s", s, c.SHA256)
			}
		})
	}
}

// measures are of held-out texts: the number of tokens, and the logarithm of the likelihood of the best segmentations.
type measures struct {
	Tokens int
	Nats   float64
}
