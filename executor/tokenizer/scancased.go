package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// Letters that may begin a word in capitals, and those that may go on in small ones; marks and letters without case
// are both.
const (
	capital = 1 << iota // \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}
	small               // \p{Ll}\p{Lm}\p{Lo}\p{M}
	lettery             // \p{L}
	digit               // \p{N}
	space               // \s
)

// caseOf is what a character is, for those of the Basic Multilingual Plane in a table.
func caseOf(r rune) uint8 {
	if int(r) < len(caseTable()) {
		return caseTable()[r]
	}
	return lookUpCase(r)
}

var caseTable = sync.OnceValue(func() *[1 << 16]uint8 {
	var c [1 << 16]uint8
	t := unicodeTables()
	for _, x := range []struct {
		set runeSet
		is  uint8
	}{
		{t.l, lettery}, {t.n, digit}, {t.lu, capital}, {t.lt, capital}, {t.ll, small},
		{t.lm, capital | small}, {t.lo, capital | small}, {t.m, capital | small},
	} {
		for _, s := range x.set {
			for r := s.lo; r < min(s.hi, rune(len(c))); r++ {
				c[r] |= x.is
			}
		}
	}
	for r := range rune(len(c)) {
		if unicode.IsSpace(r) {
			c[r] |= space
		}
	}
	return &c
})

func lookUpCase(r rune) (is uint8) {
	t := unicodeTables()
	switch {
	case t.n.has(r):
		return digit
	case t.m.has(r):
		return capital | small
	case !t.l.has(r):
		return 0
	case t.ll.has(r):
		return lettery | small
	case t.lu.has(r) || t.lt.has(r):
		return lettery | capital
	}
	return lettery | capital | small
}

// caseRun is the offset of the first character from i on that is not any of these.
func caseRun(s string, i int, is uint8) int {
	for i < len(s) {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if caseOf(r)&is == 0 {
			break
		}
		i += n
	}
	return i
}

// cased is the pattern that parts words where small letters are followed by capitals. It takes at most so many digits.
type cased struct {
	contractions bool
	digits       int
}

func (c cased) scan(_ *classes, s string) int {
	r, n := utf8.DecodeRuneInString(s)
	first := caseOf(r)
	if end := c.word(s, r, n, first); end > 0 {
		return end
	}
	if first&digit != 0 {
		return c.number(s, n)
	}
	at := 0
	if s[0] == ' ' {
		at = 1
	}
	if end := otherRun(s, at); end > at {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n' || s[end] == '/') {
			end++
		}
		return end
	}
	end := caseRun(s, n, space)
	for i := end - 1; i >= 0; i-- {
		if s[i] == '\r' || s[i] == '\n' {
			return i + 1
		}
	}
	return allButLast(s, n, end)
}

func (c cased) number(s string, n int) int {
	for k := 1; k < c.digits && n < len(s); k++ {
		r, size := utf8.DecodeRuneInString(s[n:])
		if caseOf(r)&digit == 0 {
			break
		}
		n += size
	}
	return n
}

// otherRun is the offset of the first character from i on that is a letter, a number or white space.
func otherRun(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if caseOf(r)&(lettery|digit|space) != 0 {
			break
		}
		i += n
	}
	return i
}

// word is the end of a word with what may stand before it, or 0: capitals and then at least one small letter, else
// capitals alone; each first after another character, if there is one, then without.
func (c cased) word(s string, r rune, n int, first uint8) int {
	starts, k := [2]int{n, 0}, 0
	if r == '\r' || r == '\n' || first&(lettery|digit) != 0 {
		k = 1
	}
	for _, start := range starts[k:] {
		if end := endsSmall(s, start); end > 0 {
			return c.tail(s, end)
		}
	}
	for _, start := range starts[k:] {
		if end := caseRun(s, start, capital); end > start {
			return c.tail(s, end)
		}
	}
	return 0
}

// endsSmall is the end of capitals and at least one small letter from start on, or 0. The capitals give back what is
// both, as late as possible.
func endsSmall(s string, start int) int {
	end := caseRun(s, start, capital)
	if last := caseRun(s, end, small); last > end {
		return last
	}
	for end > start {
		r, n := utf8.DecodeLastRuneInString(s[:end])
		if caseOf(r)&small != 0 {
			return end
		}
		end -= n
	}
	return 0
}

// tail is the end of a contraction after a word, if there is one.
func (c cased) tail(s string, end int) int {
	if c.contractions && end < len(s) && s[end] == '\'' {
		end += contraction(s[end:], true)
	}
	return end
}

// upTo matches runs of at most so many characters of a class.
type upTo struct {
	class class
	most  int
}

func (p upTo) spans(dst []span, text string) ([]span, error) {
	c, last, n := newClasses(), false, 0
	for i := 0; i < len(text); {
		of, size := c.first(text[i:])
		match := of == p.class
		if k := len(dst) - 1; k >= 0 && last == match && i > 0 && (!match || n < p.most) {
			dst[k].end = i + size
			n++
		} else {
			dst = append(dst, span{i, i + size, match})
			n = 1
		}
		last = match
		i += size
	}
	return dst, nil
}
