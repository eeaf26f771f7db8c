package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// slowMerge is byte pair encoding as its definition reads: the oracle of merge.
func slowMerge(t *pairTable, ids []int32) []int32 {
	ids = slices.Clone(ids)
	for {
		at, low := -1, uint64(noMerge)
		for i := 1; i < len(ids); i++ {
			if m := t.find(ids[i-1], ids[i]); m>>32 < low>>32 {
				at, low = i-1, m
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = int32(uint32(low))
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func TestMergeEqualsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		// tokens 0, 1, 2 and merges of random earlier tokens
		table, tokens, merged := newPairTable(40), int32(3), map[[2]int32]bool{}
		for rank := range int32(rng.IntN(40)) {
			pair := [2]int32{rng.Int32N(tokens), rng.Int32N(tokens)}
			if merged[pair] {
				continue
			}
			merged[pair] = true
			table.set(pair[0], pair[1], rank, tokens)
			tokens++
		}
		ids := make([]int32, rng.IntN(200))
		for i := range ids {
			ids[i] = rng.Int32N(3)
		}
		want := slowMerge(&table, ids)
		var s scratch
		s.ids = slices.Clone(ids)
		for name, merge := range map[string]func(*scratch){"long": table.mergeLong, "short": table.mergeShort} {
			s.ids = slices.Clone(ids)
			if merge(&s); !slices.Equal(s.ids, want) {
				t.Fatalf("%s %v: %v, want %v", name, ids, s.ids, want)
			}
		}
	}
}

// TestCutsChangeNothing encodes words with and without cuts.
func TestCutsChangeNothing(t *testing.T) {
	texts, cases, files := kindCases(t)
	cut := 0
	for i, c := range cases {
		tok, err := Parse(c.Name, files[i])
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Parse(c.Name, files[i])
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := tok.model.(*bpe); !ok || b.cuts == nil {
			continue
		}
		cut++
		whole.model.(*bpe).cuts = nil
		for _, text := range texts {
			got, err := tok.Encode(nil, text, true)
			if err != nil {
				t.Fatal(err)
			}
			want, err := whole.Encode(nil, text, true)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %q: %v cut, %v whole", c.Name, text, got, want)
			}
		}
	}
	if cut < 5 {
		t.Errorf("%d cases cut words, want 5 at least", cut)
	}
}

// longUnits are repeated to texts that would take hours if anything were quadratic.
func longUnits() []string {
	return []string{"a", " ", "\n", "the ", "ab", "A", "\u0301", "\u4E16", "<", "<s>", " \n", "\u2581", "'", "1"}
}

// TestLongInput encodes long texts with and without places, and decodes them. What it takes is bounded by the time of
// the test alone: hours, if anything is quadratic.
func TestLongInput(t *testing.T) {
	_, cases, files := kindCases(t)
	toks := map[string]*Tokenizer{}
	for i, c := range cases {
		switch c.Name {
		case "byte level", "split by lines", "split lines by general pattern", "fallback", "fallback, added normalized", "metaspace always", "unknown fuse", "NFC", "words",
			"precompiled", "scripts", "word piece", "unigram, whole texts":
			tok, err := Parse(c.Name, files[i])
			if err != nil {
				t.Fatal(err)
			}
			toks[c.Name] = tok
		}
	}
	v := readVocabularies(t)
	for _, c := range v.SPM {
		tok, err := ParseSentencePiece(c.Name, c.Model)
		if err != nil {
			t.Fatal(err)
		}
		toks["sentencepiece "+c.Name] = tok
	}
	for _, c := range v.Tiktoken {
		tok, err := ParseTiktoken(c.Name, []byte(c.Ranks), c.Recipe)
		if err != nil {
			t.Fatal(err)
		}
		toks["tiktoken "+c.Name] = tok
	}
	for name, tok := range toks {
		for _, unit := range longUnits() {
			n := 1 << 14
			if unit == "a" && name == "byte level" || unit == " " && name == "split by lines" {
				n = 1 << 20
			}
			text := strings.Repeat(unit, n/len(unit))
			ids, err := tok.Encode(nil, text, false)
			if err != nil {
				t.Fatal(name, err)
			}
			if e, err := tok.EncodeFull(text, EncodeOptions{}); err != nil || !slices.Equal(e.IDs, ids) {
				t.Errorf("%s: %q: with places the ids are others (%v)", name, unit, err)
			}
			if _, err := tok.Decode(ids, false); err != nil {
				t.Fatal(name, err)
			}
		}
	}
}

func TestConcurrentEncode(t *testing.T) {
	texts, cases, files := kindCases(t)
	tok, err := Parse(cases[0].Name, files[0])
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for k := range 20 * len(texts) {
				i := (k*7 + g) % len(texts)
				ids, err := tok.Encode(nil, texts[i], true)
				if err != nil || !slices.Equal(ids, cases[0].Results[i].ids) {
					t.Errorf("%q: %v %v, want %v", texts[i], ids, err, cases[0].Results[i].ids)
				}
			}
		})
	}
	all.Wait()
}

// TestAllocations: known words cost no memory to encode, nor tokens to stream, but for a block now and then.
func TestAllocations(t *testing.T) {
	_, cases, files := kindCases(t)
	tok, err := Parse(cases[0].Name, files[0])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("the cat and the other cat sat. ", 30)
	ids, err := tok.Encode(nil, text, false)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]int32, 0, 2*len(ids))
	perCall := testing.AllocsPerRun(50, func() { buf, err = tok.Encode(buf[:0], text, true) })
	if err != nil || perCall > 4 {
		t.Errorf("%v allocations for %d ids, want 4 at most (%v)", perCall, len(ids), err)
	}
	s := tok.Stream(false)
	perText := testing.AllocsPerRun(50, func() {
		for _, id := range ids {
			if _, err = s.Push(id); err != nil {
				return
			}
		}
	})
	if err != nil || perText > 2 {
		t.Errorf("%v allocations for %d tokens of %d bytes, want 2 at most (%v)", perText, len(ids), len(text), err)
	}
}
