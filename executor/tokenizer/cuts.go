package tokenizer

import "unicode/utf8"

// cuts finds places where a long word can be cut without changing its ids: between two characters that stand side by
// side in no merged token, no merge can happen, and what happens left and right of it is independent. Models
// without pre-tokenizer, whose words are whole texts, so get words that the cache knows.
type cuts struct {
	joined [1 << 15]uint32 // a bit for each hash of two characters that some merge joins; a collision only saves a cut
}

func newCuts(voc *vocabulary, results []int32) *cuts {
	c := &cuts{}
	for _, id := range results {
		last := rune(-1)
		for _, r := range voc.tokens[id] {
			if last >= 0 {
				h := joint(last, r)
				c.joined[h/32] |= 1 << (h % 32)
			}
			last = r
		}
	}
	return c
}

func joint(left, right rune) uint32 {
	return (uint32(left)*0x9E3779B1 ^ uint32(right)*0x85EBCA77) * 0xC2B2AE3D >> 12
}

// first is the length of the part of word before the first cut. Characters that are no tokens are never cut off,
// since unknown ones may fuse and bytes may merge.
func (c *cuts) first(b *bpe, word string) int {
	left, n := utf8.DecodeRuneInString(word)
	for n < len(word) {
		right, size := rune(word[n]), 1
		if right >= utf8.RuneSelf {
			right, size = utf8.DecodeRuneInString(word[n:])
		}
		h := joint(left, right)
		if c.joined[h/32]&(1<<(h%32)) == 0 && b.known(left) && b.known(right) {
			return n
		}
		left = right
		n += size
	}
	return n
}

// known tells that a character is a token.
func (b *bpe) known(r rune) bool {
	id := b.char(r)
	return id >= 0 && (b.scored == nil || id < b.scored.size)
}
