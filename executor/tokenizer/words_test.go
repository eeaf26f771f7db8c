package tokenizer

import (
	"slices"
	"testing"
)

// TestWords cuts texts as for a model, without looking for added tokens.
func TestWords(t *testing.T) {
	file := `{"added_tokens": [{"id": 0, "content": "<s>", "special": true}], "normalizer": {"type": "Lowercase"},
		"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}, "model": {"type": "BPE", "vocab": {"<s>": 0}, "merges": []}}`
	tok, err := Parse("t.json", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	words := tok.Words(func(w string) { got = append(got, w) })
	for _, text := range []string{"", "The Mädchen<s>", "again"} {
		if err := words(text); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"the", " mädchen", "<", "s", ">", "again"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := words("a\xff"); err == nil || err.Error() != "not UTF-8 at byte 1" {
		t.Errorf("%v", err)
	}
	if tok.model.(*bpe) == nil || len(tok.split) != 1 {
		t.Error("the tokenizer is changed")
	}
}
