package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inFiles writes files into a new folder.
func inFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Folders without a tokenizer.json give the ids that transformers gives.
func TestBareVocabularies(t *testing.T) {
	var all []struct {
		Name     string
		Files    map[string]string
		Texts    [][4]json.RawMessage
		Pair     []int32
		BOS, EOS *int32
	}
	readJSON(t, filepath.Join("testdata", "folders.json.gz"), &all)
	if len(all) < 18 {
		t.Fatalf("%d folders", len(all))
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := Open(inFiles(t, c.Files))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Texts {
				var text, decoded string
				var ids, plain []int32
				reads(t, r[:], &text, &ids, &plain, &decoded)
				checkIDs(t, tok, text, true, ids)
				checkIDs(t, tok, text, false, plain)
				checkDecode(t, tok, ids, false, decoded)
			}
			other := "the other"
			if e, err := tok.EncodeFull("the cat", EncodeOptions{Pair: &other, Special: true}); err != nil || !slices.Equal(e.IDs, c.Pair) {
				t.Errorf("pair %v, want %v, %v", e.IDs, c.Pair, err)
			}
			if bos, ok := tok.BOS(); ok != (c.BOS != nil) || ok && bos != *c.BOS {
				t.Errorf("begins with %d, %v", bos, ok)
			}
			if eos := tok.EOS(); (len(eos) > 0) != (c.EOS != nil) || len(eos) > 0 && eos[0] != *c.EOS {
				t.Errorf("ends with %v", eos)
			}
		})
	}
}

// What is wrong in the files of a vocabulary is one line with its file.
func TestBareErrors(t *testing.T) {
	vocab := `{"a": 0, "b": 1, "ab": 2}`
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"vocab.json": vocab}, "merges.txt: no such file"},
		{map[string]string{"vocab.json": vocab, "merges.txt": "#version: 0.2\na b\na c\n"}, `merges.txt:3: "c" is not in vocab.json`},
		{map[string]string{"vocab.json": vocab, "merges.txt": "a\n"}, `merges.txt:1: is "a", want two tokens with one space between`},
		{map[string]string{"vocab.json": "{\"a\": \n\"x\"}", "merges.txt": ""}, "vocab.json:2:1: a: is a string, want a whole number"},
		{map[string]string{"vocab.json": vocab, "merges.txt": "", "tokenizer_config.json": `{"tokenizer_class": "GPT3Tokenizer"}`}, `tokenizer_class: "GPT3Tokenizer" is not known, did you mean "GPT2Tokenizer"`},
		{map[string]string{"vocab.json": vocab, "merges.txt": "", "config.json": `{"model_type": "nosuch"}`}, `model_type: "nosuch" says nothing of how to read vocab.json`},
		{map[string]string{"vocab.txt": "a\n\xff\n"}, "vocab.txt: not UTF-8 at byte 2"},
		{map[string]string{"vocab.txt": "a\nb\n", "tokenizer_config.json": `{"do_lower_case": "yes"}`}, `tokenizer_config.json:1:19: do_lower_case: is a string, want true or false`},
		{map[string]string{"vocab.txt": "a\nb\n", "tokenizer_config.json": `{"added_tokens_decoder": {"1": {"content": "a"}}}`}, `token "a" has id 1 here and 0 in`},
		{map[string]string{"vocab.txt": "a\nb\n", "tokenizer_config.json": `{"added_tokens_decoder": {"2000000000": {"content": "c"}}}`}, `"2000000000" is no id`},
		{map[string]string{"vocab.txt": "a\nb\n", "added_tokens.json": `{"c": 16000000}`}, `id 16000000 is absurd for a vocabulary of 2 tokens`},
	} {
		_, err := Open(inFiles(t, c.files))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v\nwant %s", c.files, err, c.want)
		}
	}
}
