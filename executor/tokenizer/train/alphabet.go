package train

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"pipe.dev/executor/tokenizer"
)

// vocabulary is the tokens so far.
type vocabulary struct {
	tokens []string
	ids    map[string]int32
}

// enter gives a token an id unless it has one, and returns it.
func (v *vocabulary) enter(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	id := int32(len(v.tokens))
	v.ids[token] = id
	v.tokens = append(v.tokens, token)
	return id
}

// newVocabulary holds the special tokens and those of bytes.
func newVocabulary(a *Attr) *vocabulary {
	v := &vocabulary{ids: map[string]int32{}}
	for _, s := range a.SpecialTokens {
		v.enter(s)
	}
	if a.ByteFallback {
		for i := range 256 {
			v.enter(byteToken(byte(i)))
		}
	}
	return v
}

// characters counts the characters of the words, and sorts them by code point. Those of the initial alphabet are there
// even if no word has them.
func (r *run) characters() ([]rune, map[rune]int64) {
	counts := map[rune]int64{}
	if r.ByteLevel {
		var of [256]int64
		for _, w := range r.words {
			for i := range len(w.text) {
				of[w.text[i]] += w.count
			}
		}
		for i, n := range of {
			counts[tokenizer.ByteRune(byte(i))] = n
		}
	} else {
		for _, w := range r.words {
			for _, c := range w.text {
				counts[c] += w.count
			}
		}
		for _, c := range r.InitialAlphabet {
			counts[c] += 0
		}
	}
	return slices.Sorted(maps.Keys(counts)), counts
}

// alphabet is the characters that become tokens, by code point: with limit_alphabet only the most frequent, of equally
// frequent ones the first. Those of the initial alphabet count as most frequent.
func (r *run) alphabet() []rune {
	kept, counts := r.characters()
	if r.LimitAlphabet == 0 || r.LimitAlphabet >= len(kept) {
		return kept
	}
	const most = 1<<63 - 1
	for _, c := range r.InitialAlphabet {
		counts[c] = most
	}
	slices.SortStableFunc(kept, func(a, b rune) int { return cmp.Compare(counts[b], counts[a]) })
	kept = kept[:r.LimitAlphabet]
	slices.Sort(kept)
	return kept
}

// affix tells where in a word a character stands.
type affix struct {
	char        rune
	first, last bool
}

// symbols enters the alphabet and writes every word as ids of its characters; characters outside the alphabet vanish.
// starts[i] is where word i begins, the one after the last included.
func (r *run) symbols(v *vocabulary) (ids []int32, starts []int, err error) {
	special := len(v.tokens)
	for _, c := range r.alphabet() {
		v.enter(string(c))
	}
	plain := len(v.tokens)
	id := r.affixes(v)
	if len(v.tokens) > r.VocabSize {
		return nil, nil, r.tooSmall(special, plain-special, len(v.tokens)-plain)
	}
	total := 0
	for _, w := range r.words {
		total += len(w.text)
	}
	if total > math.MaxInt32 {
		return nil, nil, fmt.Errorf("the different words have %d bytes together, want %d at most: split the text into words", total, math.MaxInt32)
	}
	ids, starts = make([]int32, 0, total), make([]int, 0, len(r.words)+1)
	for _, w := range r.words {
		starts = append(starts, len(ids))
		r.each(w.text, func(a affix) {
			if n := id(a); n >= 0 {
				ids = append(ids, n)
			}
		})
	}
	return ids, append(starts, len(ids)), nil
}

// each calls f with the characters of a word.
func (r *run) each(text string, f func(affix)) {
	if r.ByteLevel {
		for i := range len(text) {
			f(affix{tokenizer.ByteRune(text[i]), i == 0, i == len(text)-1})
		}
		return
	}
	for i, c := range text {
		f(affix{c, i == 0, i+utf8.RuneLen(c) == len(text)})
	}
}

// affixes enters the characters with prefix and suffix that the words have, and returns the function that finds the id
// of a character at its place, -1 where it is not in the alphabet.
func (r *run) affixes(v *vocabulary) func(affix) int32 {
	ids := map[affix]int32{}
	same := r.Prefix == "" && r.Suffix == ""
	find := func(a affix) int32 {
		if same {
			a.first, a.last = false, false
		}
		id, ok := ids[a]
		if !ok {
			id = -1
			if plain, known := v.ids[string(a.char)]; known {
				if id = plain; !same {
					id = v.enter(r.dressed(a))
				}
			}
			ids[a] = id
		}
		return id
	}
	if same {
		return find
	}
	seen := map[string]bool{}
	for _, w := range r.words {
		r.each(w.text, func(a affix) {
			if _, known := v.ids[string(a.char)]; known {
				if _, done := ids[a]; !done {
					ids[a] = -1
					seen[r.dressed(a)] = true
				}
			}
		})
	}
	clear(ids)
	for _, s := range r.affixed {
		v.enter(s)
	}
	for _, s := range slices.Sorted(maps.Keys(seen)) {
		v.enter(s)
	}
	return find
}

func (r *run) dressed(a affix) string {
	s := string(a.char)
	if !a.first {
		s = r.Prefix + s
	}
	if a.last {
		s += r.Suffix
	}
	return s
}

// tooSmall is the error that says the least vocabulary that works.
func (r *run) tooSmall(special, characters, affixed int) error {
	what := fmt.Sprintf("%d special, %d characters", special, characters)
	if affixed > 0 {
		what = fmt.Sprintf("%d special, %d characters, %d marked characters", special, characters, affixed)
	}
	return fmt.Errorf("vocab_size is %d, want %d at least: %s", r.VocabSize, special+characters+affixed, what)
}
