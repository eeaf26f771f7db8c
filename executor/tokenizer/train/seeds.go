package train

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// suffix is the rest of a word from some character on, cut to the longest that a piece may be.
type suffix struct {
	text  string
	count int64 // of the word
	left  rune  // the character before it, -1 at the start of the word
}

// leftMany is the left of suffixes that different characters precede.
const leftMany rune = -2

// seeds are the pieces that training starts from: all characters, and the substrings of words that occur at least
// twice and that two different characters follow and precede, counting the ends of words as characters. Of these the
// ones with the most characters times occurrences come first, up to size. Scores are logarithms of probabilities by
// that product.
func seeds(words []word, characters []rune, counts map[rune]int64, longest, size int) []piece {
	var all []piece
	for _, c := range characters {
		all = append(all, piece{string(c), float64(max(counts[c], 1))})
	}
	slices.SortStableFunc(all, func(a, b piece) int { return cmp.Compare(b.score, a.score) })
	subs := repeated(suffixes(words, longest), longest)
	slices.SortFunc(subs, func(a, b piece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.text, b.text))
	})
	all = append(all, subs[:min(len(subs), max(size-len(all), 0))]...)
	sum := 0.0
	for _, p := range all {
		sum += p.score
	}
	for i := range all {
		all[i].score = math.Log(all[i].score) - math.Log(sum)
	}
	return all
}

func suffixes(words []word, longest int) []suffix {
	var all []suffix
	for _, w := range words {
		left := rune(-1)
		for i, c := range w.text {
			end, n := i, 0
			for ; end < len(w.text) && n < longest; n++ {
				_, size := utf8.DecodeRuneInString(w.text[end:])
				end += size
			}
			all = append(all, suffix{w.text[i:end], w.count, left})
			left = c
		}
	}
	slices.SortFunc(all, func(a, b suffix) int { return strings.Compare(a.text, b.text) })
	return all
}

// open is a substring whose suffixes are being gone through: all since it was opened begin with it.
type open struct {
	bytes int
	count int64
	left  rune
}

// repeated goes through sorted suffixes like a suffix tree, and gives its inner nodes of two characters and more with
// their score, characters times occurrences. One that the same character always precedes is left out, since with it it
// is the better piece, unless that would be longer than a piece may be.
func repeated(sorted []suffix, longest int) []piece {
	var out []piece
	stack := []open{{left: leftMany}}
	for i, s := range sorted {
		here := 0
		if i > 0 {
			here = common(sorted[i-1].text, s.text)
		}
		var closed open
		for top := len(stack) - 1; stack[top].bytes > here; top = len(stack) - 1 {
			closed = stack[top]
			stack = stack[:top]
			out = closed.piece(out, sorted[i-1].text, longest)
			if under := &stack[len(stack)-1]; under.bytes >= here {
				under.take(closed)
			} else {
				closed.bytes = here
				stack = append(stack, closed)
			}
		}
		own := open{len(s.text), s.count, s.left}
		if top := &stack[len(stack)-1]; top.bytes == own.bytes && i > 0 {
			top.take(own)
		} else {
			stack = append(stack, own)
		}
	}
	for top := len(stack) - 1; top > 0; top-- {
		out = stack[top].piece(out, sorted[len(sorted)-1].text, longest)
		stack[top-1].take(stack[top])
	}
	return out
}

// take adds the suffixes of a longer or equal substring.
func (o *open) take(other open) {
	o.count += other.count
	if o.left != other.left {
		o.left = leftMany
	}
}

// piece appends the substring, a beginning of text, if it is a seed.
func (o open) piece(out []piece, text string, longest int) []piece {
	text = text[:o.bytes]
	n := utf8.RuneCountInString(text)
	if n < 2 || o.count < 2 || o.left >= 0 && n < longest {
		return out
	}
	return append(out, piece{text, float64(o.count) * float64(n)})
}

// common is the length in bytes of the characters that a and b both begin with.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	for n > 0 && (n < len(a) && !utf8.RuneStart(a[n]) || n < len(b) && !utf8.RuneStart(b[n])) {
		n--
	}
	return n
}
