package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		t.Skipf("needs the shared data: %v", err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, path), to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// reference is what the Rust library makes of a text.
type reference struct {
	IDs []int32 `json:"ids"`
	Dec string  `json:"dec"`
}

// sharedNames are tokenizers whose texts come back as they were; bert's come back in small letters.
var sharedNames = []string{"gpt2", "qwen2_5"}

func sharedTokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	path := sharedFile(t, "tokenizer", name+".tokenizer.json.gz")
	tok, err := Parse(name, readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestSharedStrings(t *testing.T) {
	for _, name := range slices.Concat(sharedNames, []string{"bert"}) {
		t.Run(name, func(t *testing.T) {
			tok := sharedTokenizer(t, name)
			var texts []string
			var want []reference
			readJSON(t, sharedFile(t, "tokenizer", "strings.json"), &texts)
			readJSON(t, sharedFile(t, "tokenizer", "ref_"+name+".json"), &want)
			if len(texts) != 70 || len(want) != 70 {
				t.Fatalf("%d texts and %d references, want 70", len(texts), len(want))
			}
			for i, text := range texts {
				checkIDs(t, tok, text, false, want[i].IDs)
				checkDecode(t, tok, want[i].IDs, false, want[i].Dec)
			}
		})
	}
}

func checkIDs(t *testing.T, tok *Tokenizer, text string, special bool, want []int32) {
	t.Helper()
	ids, err := tok.Encode(nil, text, special)
	if err != nil {
		t.Errorf("%.80q: %v", text, err)
		return
	}
	if !slices.Equal(ids, want) {
		t.Errorf("%.80q: ids\n%v, want\n%v", text, ids, want)
	}
}

// checkDecode decodes at once and as a stream.
func checkDecode(t *testing.T, tok *Tokenizer, ids []int32, skip bool, want string) {
	t.Helper()
	text, err := tok.Decode(ids, skip)
	if err != nil {
		t.Errorf("%v: %v", ids, err)
		return
	}
	if text != want {
		t.Errorf("%v decodes to\n%q, want\n%q", ids, text, want)
	}
	s := tok.Stream(skip)
	var parts []string
	for _, id := range ids {
		part, err := s.Push(id)
		if err != nil {
			t.Errorf("%v: %v", ids, err)
			return
		}
		parts = append(parts, part)
	}
	parts = append(parts, s.Flush())
	if got := strings.Join(parts, ""); got != want {
		t.Errorf("%v streams\n%q, want\n%q", ids, got, want)
	}
	for _, p := range parts {
		if invalidUTF8(p) >= 0 {
			t.Errorf("%v streams half a character: %q", ids, parts)
		}
	}
}

func TestSharedShakespeare(t *testing.T) {
	text := string(readFile(t, sharedFile(t, "train", "tinyshakespeare.txt")))
	for _, name := range slices.Concat(sharedNames, []string{"bert"}) {
		t.Run(name, func(t *testing.T) {
			tok := sharedTokenizer(t, name)
			var want []int32
			readJSON(t, sharedFile(t, "tokenizer", "shakespeare_ids_"+name+".json.gz"), &want)
			ids, err := tok.Encode(nil, text, false)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids, want) {
				t.Fatalf("%d ids, want %d; or they differ", len(ids), len(want))
			}
			back, err := tok.Decode(ids, false)
			if err != nil {
				t.Fatal(err)
			}
			if back != text && name != "bert" {
				t.Fatal("the text does not come back")
			}
		})
	}
}

func TestSharedFolder(t *testing.T) {
	tok, err := Open(sharedFile(t, "llm", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	bos, ok := tok.BOS()
	if !ok || bos != 1 || !slices.Equal(tok.EOS(), []int32{2}) || tok.Size() != 512 {
		t.Errorf("BOS %d %v, EOS %v, size %d; want 1, 2, 512", bos, ok, tok.EOS(), tok.Size())
	}
	var golden struct{ IDs []int32 }
	readJSON(t, sharedFile(t, "golden", "stories260K_greedy_96.json"), &golden)
	text := string(readFile(t, sharedFile(t, "golden", "stories260K_greedy_96.txt")))
	checkDecode(t, tok, golden.IDs, true, strings.TrimSuffix(text, "\n"))
}
