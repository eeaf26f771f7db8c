package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// checkFuzzed encodes and decodes with a tokenizer that a fuzzer made: with and without places the ids are the same,
// places lie in the text, and a stream gives the text that Decode gives.
func checkFuzzed(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	ids, err := tok.Encode(nil, text, true)
	if err != nil {
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("error of more than a line: %q", err)
		}
		return
	}
	for _, inBytes := range []bool{false, true} {
		e, err := tok.EncodeFull(text, EncodeOptions{Special: true, Bytes: inBytes})
		if tok.truncation != nil || tok.padding != nil {
			continue
		}
		if err != nil || !slices.Equal(e.IDs, ids) || len(e.Offsets) != len(ids) || len(e.Tokens) != len(ids) || len(e.Words) != len(ids) {
			t.Fatalf("%q: %v, %v; want %v", text, e, err, ids)
		}
		for _, s := range e.Offsets {
			if s.Start < 0 || s.End < s.Start {
				t.Errorf("%q: place %v", text, s)
			}
		}
	}
	for _, skip := range []bool{false, true} {
		whole, err := tok.Decode(ids, skip)
		if err != nil {
			return
		}
		s, parts := tok.Stream(skip), ""
		for _, id := range ids {
			part, err := s.Push(id)
			if err != nil {
				t.Fatal(err)
			}
			parts += part
		}
		if parts += s.Flush(); parts != whole {
			t.Errorf("%v decodes to %q, streams %q", ids, whole, parts)
		}
	}
}

// fuzzed checks a tokenizer or the error instead of one.
func fuzzed(t *testing.T, tok *Tokenizer, err error, size int, text string) {
	t.Helper()
	switch {
	case err != nil:
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("error of more than a line: %q", err)
		}
	case size <= 1<<15 && len(text) <= 1<<8:
		checkFuzzed(t, tok, text)
	}
}

func FuzzSentencePiece(f *testing.F) {
	v := readVocabularies(f)
	for _, c := range v.SPM {
		f.Add(c.Model, "the <sep> cat \u4E16\uFB01 ")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := ParseSentencePiece("fuzz", data)
		fuzzed(t, tok, err, len(data), text)
	})
}

func FuzzTiktoken(f *testing.F) {
	v := readVocabularies(f)
	for _, c := range v.Tiktoken {
		f.Add([]byte(c.Ranks), []byte(c.Recipe), "the <sep> cat \u4E16")
	}
	f.Fuzz(func(t *testing.T, ranks, recipe []byte, text string) {
		if recipe == nil {
			recipe = []byte{}
		}
		tok, err := ParseTiktoken("fuzz", ranks, recipe)
		fuzzed(t, tok, err, len(ranks), text)
	})
}

// FuzzKinds runs texts through every small tokenizer of the fixtures.
func FuzzKinds(f *testing.F) {
	_, cases, files := kindCases(f)
	var toks []*Tokenizer
	for i, c := range cases {
		tok, err := Parse(c.Name, files[i])
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	for _, s := range []string{"the cat<s> Mädchen", "a\u0301\u0323\u0344 \uFB01", "\u1112\u1161\u11AB  <strip> x", "[Word]s \r\n\t<0x41>"} {
		f.Add(s, uint8(0))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		if len(text) <= 1<<8 {
			checkFuzzed(t, toks[int(which)%len(toks)], text)
		}
	})
}
