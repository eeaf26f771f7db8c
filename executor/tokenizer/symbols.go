package tokenizer

import "unicode/utf8"

// symbols sets s.ids to the symbols that a word starts with: the token of each character, else its bytes, else the
// unknown token. As in the Rust library, an unknown token waits until the next character that is a token (so that
// fuse_unk can join it with others), and bytes overtake it.
func (b *bpe) symbols(s *scratch, word string) {
	s.ids = s.ids[:0]
	waiting := false
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRuneInString(word[i:])
		id := b.symbol(s, word, i, n, r)
		if id >= 0 {
			if waiting {
				s.ids = append(s.ids, b.unknown)
				waiting = false
			}
			s.ids = append(s.ids, id)
		} else if !b.byteFallback || !b.appendBytes(s, word, i, n) {
			if waiting && !b.fuseUnknown {
				s.ids = append(s.ids, b.unknown)
			}
			waiting = b.unknown >= 0
		}
		i += n
	}
	if waiting {
		s.ids = append(s.ids, b.unknown)
	}
}

// symbol is the token of the character word[i:i+n], with the prefix of later characters and the suffix of the last.
func (b *bpe) symbol(s *scratch, word string, i, n int, r rune) int32 {
	if b.prefix == "" && b.suffix == "" {
		return b.char(r)
	}
	s.text = b.dressed(s.text[:0], word, i, n)
	return b.voc.idOf(s.text)
}

func (b *bpe) dressed(dst []byte, word string, i, n int) []byte {
	if i > 0 {
		dst = append(dst, b.prefix...)
	}
	dst = append(dst, word[i:i+n]...)
	if i+n == len(word) {
		dst = append(dst, b.suffix...)
	}
	return dst
}

// appendBytes appends the byte tokens of a character, or tells that one of them does not exist.
func (b *bpe) appendBytes(s *scratch, word string, i, n int) bool {
	s.text = b.dressed(s.text[:0], word, i, n)
	for _, c := range s.text {
		if b.fallback[c] < 0 {
			return false
		}
	}
	for _, c := range s.text {
		s.ids = append(s.ids, b.fallback[c])
	}
	return true
}
