package tokenizer

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// vocabulariesFile is testdata/vocabularies.json.gz: what the libraries of other formats make of some texts;
// testdata/vocabularies.py makes it.
type vocabulariesFile struct {
	Texts []string
	SPM   []struct {
		Name    string
		Model   []byte
		Results [][3]json.RawMessage // ids, places in bytes, decoded
		Odd     [][2]json.RawMessage // ids, decoded
	}
	Tiktoken []struct {
		Name    string
		Ranks   string
		Recipe  json.RawMessage
		Results [][2]json.RawMessage // ids, decoded
	}
	GGUF []struct {
		Name    string
		Meta    map[string]json.RawMessage
		Results [][]int32
	}
}

func readVocabularies(t testing.TB) (v vocabulariesFile) {
	t.Helper()
	readJSON(t, filepath.Join("testdata", "vocabularies.json.gz"), &v)
	if len(v.Texts) < 40 || len(v.SPM) < 10 || len(v.Tiktoken) < 3 || len(v.GGUF) < 10 {
		t.Fatalf("%d texts, %d SentencePiece models, %d ranks, %d vocabularies", len(v.Texts), len(v.SPM), len(v.Tiktoken), len(v.GGUF))
	}
	return v
}

// reads unpacks a row.
func reads(t *testing.T, row []json.RawMessage, to ...any) {
	t.Helper()
	for i := range to {
		if err := json.Unmarshal(row[i], to[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSentencePiece(t *testing.T) {
	v := readVocabularies(t)
	for _, c := range v.SPM {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := ParseSentencePiece("m.model", c.Model)
			if err != nil {
				t.Fatal(err)
			}
			var ids []int32
			var places []int
			var text string
			for i, r := range c.Results {
				reads(t, r[:], &ids, &places, &text)
				checkIDs(t, tok, v.Texts[i], true, ids)
				checkDecode(t, tok, ids, false, text)
				e, err := tok.EncodeFull(v.Texts[i], EncodeOptions{Bytes: true})
				if err != nil {
					t.Fatal(err)
				}
				var got []int
				for _, s := range e.Offsets {
					got = append(got, s.Start, s.End)
				}
				if !slices.Equal(got, places) || !slices.Equal(e.IDs, ids) {
					t.Errorf("%q: ids %v, places\n%v, want %v\n%v", v.Texts[i], e.IDs, got, ids, places)
				}
			}
			for _, r := range c.Odd {
				reads(t, r[:], &ids, &text)
				checkDecode(t, tok, ids, false, text)
			}
		})
	}
}

func TestTiktoken(t *testing.T) {
	v := readVocabularies(t)
	for _, c := range v.Tiktoken {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := ParseTiktoken("m.tiktoken", []byte(c.Ranks), c.Recipe)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range c.Results {
				var ids []int32
				var text string
				reads(t, r[:], &ids, &text)
				checkIDs(t, tok, v.Texts[i], true, ids)
				checkDecode(t, tok, ids, false, text)
			}
		})
	}
}

func TestGGUF(t *testing.T) {
	v := readVocabularies(t)
	tried := map[string]bool{}
	for _, c := range v.GGUF {
		tried[strings.Trim(string(c.Meta["pre"]), `"`)] = true
	}
	for name := range recipes()["gguf"] {
		if !tried[name] {
			t.Errorf("nothing tries the name %s", name)
		}
	}
	for _, c := range v.GGUF {
		t.Run(c.Name, func(t *testing.T) {
			meta := map[string]any{}
			for key, x := range c.Meta {
				meta["tokenizer.ggml."+key] = metaValue(t, key, x)
			}
			tok, err := ParseGGUF("m.gguf", func(key string) any { return meta[key] })
			if err != nil {
				t.Fatal(err)
			}
			for i, ids := range c.Results {
				checkIDs(t, tok, v.Texts[i], true, ids)
			}
		})
	}
}

// metaValue is an entry of the metadata with the type that it has in a file.
func metaValue(t *testing.T, key string, x json.RawMessage) any {
	t.Helper()
	to := map[string]any{
		"tokens": &[]string{}, "merges": &[]string{}, "scores": &[]float32{}, "token_type": &[]int32{}, "model": new(string), "pre": new(string),
		"add_space_prefix": new(bool), "remove_extra_whitespaces": new(bool),
	}[key]
	if to == nil {
		to = new(uint32)
	}
	if err := json.Unmarshal(x, to); err != nil {
		t.Fatal(err)
	}
	return reflect.ValueOf(to).Elem().Interface()
}
