package quantize

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/model"
)

// sameIDs holds the tokenizer of a file against that of the folder it was
// written from.
func sameIDs(t *testing.T, dir string, texts ...string) {
	t.Helper()
	r, out := written(t, dir, Options{Type: "f16"})
	if len(r.Warnings) > 0 {
		t.Errorf("warns %q", r.Warnings)
	}
	want, err := model.OpenTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	have, err := model.OpenTokenizer(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		a, err := want.Encode(nil, text, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := have.Encode(nil, text, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a, b) {
			t.Errorf("%q is %v, want %v", text, b, a)
		}
	}
	if a, b := want.EOS(), have.EOS(); len(b) == 0 || b[0] != a[0] {
		t.Errorf("ends with %v, want %v", b, a)
	}
}

// Byte-level BPE becomes a vocabulary of the kind "gpt2".
func TestVocabularyBytes(t *testing.T) {
	text, err := os.ReadFile(golden + "text/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected struct{ Cases []struct{ Prompt string } }
	if err := json.Unmarshal(text, &expected); err != nil || len(expected.Cases) == 0 {
		t.Fatal(err)
	}
	for _, c := range expected.Cases {
		sameIDs(t, golden+"text", c.Prompt)
	}
}

// BPE with byte tokens becomes one of the kind "llama": scores stand for the
// order of merges.
func TestVocabularyPieces(t *testing.T) {
	for _, prefix := range []string{"▁", ""} {
		pieces(t, prefix)
	}
}

// pieces is the test for a tokenizer that puts a prefix before each text, or
// none.
func pieces(t *testing.T, prefix string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(golden + "arch/llama/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	vocab := map[string]int{"<unk>": 0, "<s>": 1, "</s>": 2}
	for i := range 256 {
		vocab[fmt.Sprintf("<0x%02X>", i)] = 3 + i
	}
	merges := [][2]string{{"b", "c"}, {"a", "b"}, {"▁", "a"}, {"▁a", "bc"}, {"ab", "ab"}, {"c", "c"}}
	for _, w := range []string{"▁", "a", "b", "c"} {
		vocab[w] = len(vocab)
	}
	for _, m := range merges {
		vocab[m[0]+m[1]] = len(vocab)
	}
	special := func(id int, text string) map[string]any {
		return map[string]any{"id": id, "content": text, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}
	}
	normalizers := []any{map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"}}
	if prefix != "" {
		normalizers = slices.Insert(normalizers, 0, any(map[string]any{"type": "Prepend", "prepend": prefix}))
	}
	file, err := json.Marshal(map[string]any{
		"version":      "1.0",
		"added_tokens": []any{special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")},
		"normalizer":   map[string]any{"type": "Sequence", "normalizers": normalizers},
		"post_processor": map[string]any{"type": "TemplateProcessing", "single": []any{
			map[string]any{"SpecialToken": map[string]any{"id": "<s>", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
			"pair":           []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}}},
			"special_tokens": map[string]any{"<s>": map[string]any{"id": "<s>", "ids": []int{1}, "tokens": []string{"<s>"}}}},
		"decoder": map[string]any{"type": "Sequence", "decoders": []any{
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": "▁"}, "content": " "}, map[string]any{"type": "ByteFallback"},
			map[string]any{"type": "Fuse"}, map[string]any{"type": "Strip", "content": " ", "start": 1, "stop": 0}}},
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	sameIDs(t, dir, "abc", "a abcc", "ababab", "bcab", "cccc", "xé漢", "a  b", "abab abc")
}
