package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pipe.dev/executor/gguf"
)

// ggmlTexts are the texts of an .inp file and the ids of its .out file.
func ggmlTexts(t *testing.T, name string) (texts []string, want [][]int32) {
	t.Helper()
	base := "ggml-vocab-" + name + ".gguf"
	inp := string(readFile(t, sharedFile(t, "tokenizer", "ggml-vocab", base+".inp")))
	texts = strings.Split(inp, "\n__ggml_vocab_test__\n")
	for _, line := range strings.Split(strings.TrimSuffix(string(readFile(t, sharedFile(t, "tokenizer", "ggml-vocab", base+".out"))), "\n"), "\n") {
		var ids []int32
		for _, f := range strings.Fields(line) {
			id, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, int32(id))
		}
		want = append(want, ids)
	}
	if len(texts) != len(want)+1 && len(texts) != len(want) {
		t.Fatalf("%d texts, %d results", len(texts), len(want))
	}
	return texts[:len(want)], want
}

func sharedGGUF(t testing.TB, name string) *Tokenizer {
	t.Helper()
	f, err := gguf.Open(sharedFile(t, "tokenizer", "ggml-vocab", "ggml-vocab-"+name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := ParseGGUF(name, f.Value)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestSharedGGUF holds vocabularies of every kind against what llama.cpp makes of awkward texts.
func TestSharedGGUF(t *testing.T) {
	for _, name := range []string{"bert-bge", "deepseek-coder", "falcon", "gpt-2", "phi-3", "starcoder"} {
		t.Run(name, func(t *testing.T) {
			tok := sharedGGUF(t, name)
			texts, want := ggmlTexts(t, name)
			for i, text := range texts {
				checkIDs(t, tok, text, false, want[i])
				if back, err := tok.Decode(want[i], false); name != "bert-bge" && (err != nil || back != text) {
					t.Errorf("%q comes back as %q, %v", text, back, err)
				}
			}
		})
	}
	t.Run("qwen2", func(t *testing.T) { // whose vocabulary is that of a tokenizer.json
		tok := sharedTokenizer(t, "qwen2_5")
		texts, want := ggmlTexts(t, "qwen2")
		for i, text := range texts {
			checkIDs(t, tok, text, false, want[i])
		}
	})
}

// ggufMeta is the metadata of a small vocabulary.
func ggufMeta(change map[string]any) func(string) any {
	meta := map[string]any{
		"tokenizer.ggml.model":      "llama",
		"tokenizer.ggml.tokens":     []string{"<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab"},
		"tokenizer.ggml.scores":     []float32{0, 0, 0, -1, -2, -3, -4, -5},
		"tokenizer.ggml.token_type": []int32{2, 3, 3, 1, 1, 1, 1, 1},
	}
	for k, v := range change {
		meta["tokenizer.ggml."+k] = v
	}
	return func(key string) any { return meta[key] }
}

func TestGGUFSmall(t *testing.T) {
	tok, err := ParseGGUF("m.gguf", ggufMeta(nil))
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := tok.Encode(nil, "ab<s>a", true); err != nil || !slices.Equal(ids, []int32{1, 7, 1, 3, 4}) {
		t.Errorf("%v %v", ids, err)
	}
	if bos, ok := tok.BOS(); !ok || bos != 1 || !slices.Equal(tok.EOS(), []int32{2}) {
		t.Errorf("bos %d, eos %v", bos, tok.EOS())
	}
}

func TestGGUFErrors(t *testing.T) {
	for i, c := range []struct {
		change map[string]any
		want   string
	}{
		{map[string]any{"model": nil}, "has no tokenizer.ggml.model: there is no vocabulary in the file"},
		{map[string]any{"model": "lama"}, `tokenizer.ggml.model "lama" is not known, did you mean "llama"; known are llama, gpt2, bert, t5`},
		{map[string]any{"tokens": nil}, "tokenizer.ggml.tokens is absent or empty"},
		{map[string]any{"tokens": "x"}, "tokenizer.ggml.tokens is of type string, want []string"},
		{map[string]any{"tokens": []string{"a", "a"}}, `tokenizer.ggml.tokens token "a" has two entries, ids 0 and 1`},
		{map[string]any{"tokens": []string{"\xff"}}, "tokenizer.ggml.tokens piece 0 is not UTF-8"},
		{map[string]any{"scores": []float32{1}}, "tokenizer.ggml.scores has 1 entries for 8 tokens"},
		{map[string]any{"token_type": []int32{1}}, "tokenizer.ggml.token_type has 1 entries for 8 tokens"},
		{map[string]any{"model": "gpt2", "pre": "gpt-3"}, `tokenizer.ggml.pre "gpt-3" is not known, did you mean "gpt-2"`},
		{map[string]any{"model": "gpt2", "pre": "gpt-2", "merges": []string{"a c"}}, `tokenizer.ggml.merges 0: "c" is not in the vocabulary`},
		{map[string]any{"model": "t5", "precompiled_charsmap": []uint8{1, 2}}, "tokenizer.ggml.precompiled_charsmap has 2 bytes, want 8 at least"},
		{map[string]any{"add_bos_token": 1}, "tokenizer.ggml.add_bos_token is of type int, want bool"},
	} {
		_, err := ParseGGUF("m.gguf", ggufMeta(c.change))
		if want := "m.gguf: metadata " + c.want; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: %v\nwant %s", i, err, want)
		}
	}
}

// TestRecipes compiles every pattern of patterns.json.
func TestRecipes(t *testing.T) {
	for kind, all := range recipes() {
		for name, r := range all {
			if _, err := r.splitters(); err != nil || len(r.Split) == 0 || slices.Contains(r.Split, "") {
				t.Error(fmt.Errorf("%s %s: %q: %w", kind, name, r.Split, err))
			}
		}
	}
}
