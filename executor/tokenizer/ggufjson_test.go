package tokenizer

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/gguf"
)

var writeTo = flag.String("write", "", "TestGGUFFiles writes its files to folders in this one, for make compare-gguf")

// A vocabulary of a GGUF file gives the same ids as tokenizer.json.
func TestGGUFFiles(t *testing.T) {
	for _, name := range []string{"bert-bge", "deepseek-coder", "falcon", "gpt-2", "phi-3", "starcoder"} {
		t.Run(name, func(t *testing.T) {
			f, err := gguf.Open(sharedFile(t, "tokenizer", "ggml-vocab", "ggml-vocab-"+name+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files, err := GGUFFiles(name, f.Value)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range files {
				if *writeTo == "" {
					break
				}
				if err := os.MkdirAll(filepath.Join(*writeTo, name), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(*writeTo, name, file), text, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			tok, err := Parse("tokenizer.json", files["tokenizer.json"])
			if err != nil {
				t.Fatal(err)
			}
			old := sharedGGUF(t, name)
			texts, want := ggmlTexts(t, name)
			for i, text := range texts {
				checkIDs(t, tok, text, false, want[i])
				a, err1 := tok.Encode(nil, text, true)
				b, err2 := old.Encode(nil, text, true)
				if err1 != nil || err2 != nil || !slices.Equal(a, b) {
					t.Errorf("%q with what stands around: %v, want %v (%v, %v)", text, a, b, err1, err2)
				}
				// Added tokens of deepseek-coder are letters, which the decoder of bytes takes for bytes.
				if back, err := tok.Decode(want[i], false); name != "bert-bge" && name != "deepseek-coder" && (err != nil || back != text) {
					t.Errorf("%q comes back as %q, %v", text, back, err)
				}
			}
		})
	}
}

func TestGGUFFilesSmall(t *testing.T) {
	small := ggufMeta(nil)
	files, err := GGUFFiles("x", small)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse("tokenizer.json", files["tokenizer.json"])
	if err != nil {
		t.Fatal(err)
	}
	checkIDs(t, tok, "ab<s>a", true, []int32{1, 7, 1, 3, 4})
	if _, err := GGUFFiles("x", ggufMeta(map[string]any{"model": "t5"})); err == nil || !strings.Contains(err.Error(), `"t5": vocabularies of this kind aren't written`) {
		t.Errorf("t5: %v", err)
	}
	carried := func(key string) any {
		switch key {
		case "tokenizer.huggingface.json":
			return `{"a": 1}`
		case "tokenizer.chat_template":
			return "{{ 1 }}"
		}
		return small(key)
	}
	if files, err = GGUFFiles("x", carried); err != nil || strings.TrimSpace(string(files["tokenizer.json"])) != "{\n \"a\": 1\n}" ||
		!strings.Contains(string(files["tokenizer_config.json"]), `"chat_template": "{{ 1 }}"`) {
		t.Errorf("%v: %s", err, files)
	}
}
