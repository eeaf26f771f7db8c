package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what the split patterns tell apart: \p{L}, \p{N}, \s and the rest.
type class uint8

const (
	other class = iota
	letter
	number
	blank
)

// classes has the class of every character of the Basic Multilingual Plane.
type classes [1 << 16]class

// newClasses fills the table once.
var newClasses = sync.OnceValue(func() *classes {
	var c classes
	c.mark(unicodeTables().l, letter)
	c.mark(unicodeTables().n, number)
	for r := range rune(len(c)) {
		if unicode.IsSpace(r) {
			c[r] = blank
		}
	}
	return &c
})

func (c *classes) mark(s runeSet, as class) {
	for _, x := range s {
		for r := x.lo; r < min(x.hi, rune(len(c))); r++ {
			c[r] = as
		}
	}
}

// of is the class of any character.
func (c *classes) of(r rune) class {
	switch {
	case uint32(r) < uint32(len(c)):
		return c[r]
	case unicodeTables().l.has(r):
		return letter
	case unicodeTables().n.has(r):
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
