package tokenizer

import (
	_ "embed"
	"encoding/binary"
	"sort"
	"sync"
)

// unicodeBin is what the parts of the Rust library take characters for: they know different versions of Unicode, and
// Go another one. testdata/unicode.py asks the library and writes it.
//
//go:embed unicode.bin
var unicodeBin []byte

// runeRange is the characters from lo up to hi, not included.
type runeRange struct{ lo, hi rune }

// runeSet is sorted and does not overlap.
type runeSet []runeRange

func (s runeSet) has(r rune) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].hi > r })
	return i < len(s) && s[i].lo <= r
}

// tables are the sets in the order of the file.
type tables struct {
	l, n, p, s, m, lu, ll, lt, lm, lo, nd, han runeSet // \p{...} of split patterns

	word, numeric, punctuation, mark, nonspacing, other runeSet // of the pre-tokenizers and normalizers with such names

	ordered               runeSet // have a combining class
	canonical, compatible runeSet // have a decomposition

	lower   map[rune]rune
	scripts []scriptRange
}

// scriptRange is characters of one script, known by its number.
type scriptRange struct {
	runeRange
	script int16
}

// unicodeTables reads unicodeBin once.
var unicodeTables = sync.OnceValue(func() *tables {
	t := &tables{}
	data := unicodeBin
	next := func() rune {
		x, n := binary.Uvarint(data)
		data = data[n:]
		return rune(x)
	}
	for _, set := range []*runeSet{
		&t.l, &t.n, &t.p, &t.s, &t.m, &t.lu, &t.ll, &t.lt, &t.lm, &t.lo, &t.nd, &t.han,
		&t.word, &t.numeric, &t.punctuation, &t.mark, &t.nonspacing, &t.other, &t.ordered, &t.canonical, &t.compatible,
	} {
		*set = make(runeSet, next())
		at := rune(0)
		for i := range *set {
			lo := at + next()
			at = lo + next()
			(*set)[i] = runeRange{lo, at}
		}
	}
	at, n := rune(0), next()
	t.lower = make(map[rune]rune, n)
	for range n {
		at += next()
		d := next()
		t.lower[at] = at + (d>>1 ^ -(d & 1))
	}
	t.scripts = make([]scriptRange, next())
	at = 0
	for i := range t.scripts {
		lo := at + next()
		at = lo + next()
		t.scripts[i] = scriptRange{runeRange{lo, at}, int16(next())}
	}
	return t
})

// toLower is the small letter of a character.
func toLower(r rune) rune {
	if r < 0x80 {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	if x, ok := unicodeTables().lower[r]; ok {
		return x
	}
	return r
}

// isMark tells combining marks, as the normalizer StripAccents knows them.
func isMark(r rune) bool { return r >= 0x300 && unicodeTables().mark.has(r) }

// isNonspacing tells nonspacing marks, as the normalizer of BERT knows them.
func isNonspacing(r rune) bool { return r >= 0x300 && unicodeTables().nonspacing.has(r) }

// isOther tells control, format and private characters, as the normalizer of BERT knows them.
func isOther(r rune) bool { return unicodeTables().other.has(r) }

// isNumeric tells numbers, as the pre-tokenizer Digits knows them.
func isNumeric(r rune) bool {
	if r < 0x80 {
		return r >= '0' && r <= '9'
	}
	return unicodeTables().numeric.has(r)
}

// isPunctuation tells ASCII punctuation, symbols included, and other punctuation.
func isPunctuation(r rune) bool {
	if r < 0x80 {
		return r > ' ' && r < 0x7F && !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	return unicodeTables().punctuation.has(r)
}

// isWord is \w: alphabetic characters, marks, decimal digits, connectors and joiners (UTS #18).
func isWord(r rune) bool {
	if r < 0x80 {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicodeTables().word.has(r)
}

// scriptOf is the number of a character's script, or -1 where it goes with any.
func scriptOf(r rune) int16 {
	all := unicodeTables().scripts
	i := sort.Search(len(all), func(i int) bool { return all[i].hi > r })
	if i < len(all) && all[i].lo <= r {
		return all[i].script
	}
	return -1
}
