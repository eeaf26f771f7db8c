package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class is what the split patterns tell apart: \p{L}, \p{N}, \s and the rest. The tables are those of Go's unicode
// package; a regular expression library of another Unicode version knows a few thousand letters more or fewer.
type class uint8

const (
	other class = iota
	letter
	number
	blank
)

// classes has the class of every character of the Basic Multilingual Plane.
type classes [1 << 16]class

func newClasses() *classes {
	var c classes
	c.mark(unicode.L, letter)
	c.mark(unicode.N, number)
	c.mark(unicode.White_Space, blank)
	return &c
}

func (c *classes) mark(t *unicode.RangeTable, as class) {
	for _, r := range t.R16 {
		for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
			c[x] = as
		}
	}
}

// of is the class of any character.
func (c *classes) of(r rune) class {
	switch {
	case uint32(r) < uint32(len(c)):
		return c[r]
	case unicode.Is(unicode.L, r):
		return letter
	case unicode.Is(unicode.N, r):
		return number
	}
	return other // there is no white space beyond the plane
}

// first is the class and the length in bytes of the first character of s; s is not empty.
func (c *classes) first(s string) (class, int) {
	if s[0] < utf8.RuneSelf {
		return c[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return c.of(r), n
}

// run is the offset of the first character of s from i on that is not of the class.
func (c *classes) run(s string, i int, of class) int {
	for i < len(s) {
		if b := s[i]; b < utf8.RuneSelf {
			if c[b] != of {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if c.of(r) != of {
			return i
		}
		i += n
	}
	return i
}

// isWord is \w as Unicode defines it (UTS #18): alphabetic characters, marks, decimal digits, connectors and joiners.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) || r == 0x200C || r == 0x200D
}
