package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalForm is the Unicode normalization form of a text, for the characters that the reference knows (see unicode.go). Source: UAX #15.
func normalForm(f norm.Form, p piece) piece {
	if f.QuickSpanString(p.text) == len(p.text) {
		return p
	}
	all := decompose(f, p.text)
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && combining(all[end].r) != 0 {
			end++
		}
		slices.SortStableFunc(all[i:end], func(a, b changed) int { return int(combining(a.r)) - int(combining(b.r)) })
		i = end + 1
	}
	if f == norm.NFC || f == norm.NFKC {
		all = compose(all)
	}
	e := p.edit()
	for _, c := range all {
		e.change(c.r, c.n)
	}
	return e.done()
}

// decompose writes every character as its parts.
func decompose(f norm.Form, s string) []changed {
	apart, known := norm.NFD, unicodeTables().canonical
	if f == norm.NFKC || f == norm.NFKD {
		apart, known = norm.NFKD, unicodeTables().compatible
	}
	all := make([]changed, 0, len(s))
	for i, r := range s {
		if r < 0xA0 || !known.has(r) {
			all = append(all, changed{r, 0})
			continue
		}
		parts := apart.PropertiesString(s[i:]).Decomposition()
		if hangul := r - hangulFirst; hangul >= 0 && hangul < hangulCount {
			all = append(all, changed{0x1100 + hangul/588, 0}, changed{0x1161 + hangul%588/28, 1})
			if t := hangul % 28; t > 0 {
				all = append(all, changed{0x11A7 + t, 1})
			}
			continue
		}
		for n := 0; len(parts) > 0; n = 1 {
			x, size := utf8.DecodeRune(parts)
			all = append(all, changed{x, n})
			parts = parts[size:]
		}
	}
	return all
}

// Hangul syllables are composed by rule. Source: the Unicode Standard, section 3.12.
const (
	hangulFirst = 0xAC00
	hangulCount = 11172
)

// combining is the canonical combining class.
func combining(r rune) uint8 {
	if r < 0x300 || !unicodeTables().ordered.has(r) {
		return 0
	}
	var b [utf8.UTFMax]byte
	return norm.NFD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC()
}

// compose joins each character to the last starter before it where the two have a composite and no character between
// them is in the way. It works in place.
func compose(all []changed) []changed {
	out, starter, last := all[:0], -1, uint8(0)
	for _, c := range all {
		class := combining(c.r)
		if starter >= 0 && (last < class || last == 0 && starter == len(out)-1) {
			if r, ok := composite(out[starter].r, c.r); ok {
				out[starter] = changed{r, out[starter].n + c.n - 1}
				continue
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, c)
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
	return r, n == len(s) && unicodeTables().canonical.has(r)
}
