package tokenizer

import "unicode/utf8"

// symbols sets s.ids to the symbols that a word starts with: the token of each character, else its bytes, else the
// unknown token. As in the Rust library, an unknown token waits until the next character that is a token (so that
// fuse_unk can join it with others), and bytes overtake it. s.lens is their lengths, in bytes of the text before it
// became byte-level characters.
func (b *bpe) symbols(s *scratch, word string) {
	waiting := int32(0) // length of the unknown characters that wait
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRuneInString(word[i:])
		size := int32(n)
		if b.byteLevel {
			size = 1
		}
		id := b.symbol(s, word, i, n, r)
		if id >= 0 {
			if waiting > 0 {
				s.add(b.unknown, waiting)
				waiting = 0
			}
			s.add(id, size)
		} else if !b.byteFallback || !b.appendBytes(s, word, i, n) {
			if waiting > 0 && !b.fuseUnknown {
				s.add(b.unknown, waiting)
				waiting = 0
			}
			if b.unknown >= 0 {
				waiting += size
			}
		}
		i += n
	}
	if waiting > 0 {
		s.add(b.unknown, waiting)
	}
}

// add appends a symbol of so many bytes.
func (s *scratch) add(id, size int32) {
	s.ids = append(s.ids, id)
	if s.track {
		s.lens = append(s.lens, size)
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
		s.add(b.fallback[c], 1)
	}
	return true
}
