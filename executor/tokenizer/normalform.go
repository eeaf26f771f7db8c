package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// crowd is a number of characters in a row, each of which may join the one before it (marks, Hangul vowels), that
// golang.org/x/text is certain to leave together. Beyond 30 it breaks them up by U+034F (the stream-safe format of UAX
// #15), which the plain forms do not; a character gives up to four.
const crowd = 7

// normalForm is the Unicode normalization form of s. Source: UAX #15.
func normalForm(f norm.Form, s string) string {
	if f.QuickSpanString(s) == len(s) {
		return s
	}
	joining := 0
	for i, r := range s {
		if r < 0x300 || f.PropertiesString(s[i:]).BoundaryBefore() {
			joining = 0
		} else if joining++; joining >= crowd {
			return crowdedForm(f, s)
		}
	}
	return f.String(s)
}

// crowdedForm is normalForm by the letter of UAX #15: decompose every character, order the marks, compose.
func crowdedForm(f norm.Form, s string) string {
	apart := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		apart = norm.NFKD
	}
	var all []rune
	for _, r := range s {
		if r < utf8.RuneSelf {
			all = append(all, r)
		} else {
			all = append(all, []rune(apart.String(string(r)))...)
		}
	}
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && combining(all[end]) != 0 {
			end++
		}
		slices.SortStableFunc(all[i:end], func(a, b rune) int { return int(combining(a)) - int(combining(b)) })
		i = end + 1
	}
	if f == norm.NFC || f == norm.NFKC {
		all = compose(all)
	}
	return string(all)
}

// combining is the canonical combining class.
func combining(r rune) uint8 {
	if r < 0x300 {
		return 0
	}
	var b [utf8.UTFMax]byte
	return norm.NFD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC()
}

// compose joins each character to the last starter before it where the two have a composite and no character between
// them is in the way. It works in place.
func compose(all []rune) []rune {
	out, starter, last := all[:0], -1, uint8(0)
	for _, r := range all {
		class := combining(r)
		if starter >= 0 && (last < class || last == 0 && starter == len(out)-1) {
			if c, ok := composite(out[starter], r); ok {
				out[starter] = c
				continue
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, r)
	}
	return out
}

// composite is the one character that two make.
func composite(a, b rune) (rune, bool) {
	if b < 0x300 {
		return 0, false
	}
	s := norm.NFC.String(string([]rune{a, b}))
	r, n := utf8.DecodeRuneInString(s)
	return r, n == len(s)
}
