package train

import (
	"bytes"
	"strings"
	"testing"

	"pipe.dev/executor/tokenizer"
)

// FuzzRun trains with any attributes on any text: what comes out must load, hold no more tokens than asked for, and
// encode the text; errors must be one line.
func FuzzRun(f *testing.F) {
	f.Add("the cat sat\non the mat", []byte{0, 40, 0, 0, 0})
	f.Add("aaaa aaa 世界 é\u0301", []byte{1, 60, 1, 3, 7})
	f.Add("ab ab abab ba b a ababab", []byte{2, 30, 2, 1, 1})
	f.Add("one", []byte{2, 200, 0, 4, 255})
	f.Add("▁ ▁▁ \x00<0x41>", []byte{0, 250, 5, 2, 32})
	f.Fuzz(func(t *testing.T, text string, choice []byte) {
		if len(text) > 1000 || len(choice) < 5 {
			return
		}
		a := Defaults()
		a.Kind = names(trainers())[choice[0]%3]
		a.VocabSize = 1 + 4*int(choice[1])
		a.Split = names(splits())[int(choice[3])%len(splits())]
		a.SpecialTokens = []string{"<unk>", "a", "<s>"}[:1+choice[2]%3]
		a.UnknownToken = "<unk>"
		flag := func(i int) bool { return choice[4]>>i&1 == 1 }
		a.ByteLevel, a.ByteFallback, a.Digits = flag(0), flag(1), flag(2)
		if flag(3) {
			a.Normalizers = []string{"bert", "nfkc"}
		}
		if a.Kind == "bpe" && flag(4) {
			a.Prefix, a.MaxTokenLength = "a", 3
		}
		if a.Kind == "bpe" && flag(5) {
			a.Suffix = "</w>"
		}
		if a.Kind == "unigram" && flag(6) {
			a.MaxPieceLength, a.SeedSize, a.SubIterations = 2, 3, 1
		}
		texts := strings.SplitAfter(text, "\n")
		file, err := runThreads(a, each(texts), nil, 2)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than a line: %q", err)
			}
			return
		}
		tok, err := tokenizer.Parse("fuzz", file)
		if err != nil {
			t.Fatal(err)
		}
		if tok.Size() > a.VocabSize {
			t.Errorf("%d tokens, want %d at most", tok.Size(), a.VocabSize)
		}
		for _, text := range texts {
			if _, err := tok.Encode(nil, text, true); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		again, err := runThreads(a, each(texts), nil, 1)
		if err != nil || !bytes.Equal(file, again) {
			t.Errorf("another result on one goroutine, or %v", err)
		}
	})
}
