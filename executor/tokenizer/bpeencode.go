package tokenizer

func (b *bpe) encode(s *scratch, dst []int32, word string) ([]int32, error) {
	switch {
	case s.track:
		return b.encodeWord(s, dst, word), nil
	case b.cuts == nil:
		return b.encodeCached(s, dst, word), nil
	}
	for len(word) > 0 {
		n := b.cuts.first(b, word)
		dst = b.encodeCached(s, dst, word[:n])
		word = word[n:]
	}
	return dst, nil
}

func (b *bpe) encodeCached(s *scratch, dst []int32, word string) []int32 {
	if len(word) > longestCached {
		return b.encodeWord(s, dst, word)
	}
	slot, ids, ok := b.cache.find(word)
	if ok {
		return append(dst, ids...)
	}
	start := len(dst)
	dst = b.encodeWord(s, dst, word)
	b.cache.keep(slot, word, dst[start:])
	return dst
}

func (b *bpe) encodeWord(s *scratch, dst []int32, word string) []int32 {
	s.ids, s.lens = s.ids[:0], s.lens[:0]
	if b.scored != nil {
		return b.encodeScored(s, dst, word)
	}
	if b.byteLevel && b.allBytes && !b.ignoreMerges {
		for i := range len(word) {
			s.ids = append(s.ids, b.bytes[word[i]])
			if s.track {
				s.lens = append(s.lens, 1)
			}
		}
	} else {
		n := len(word)
		if b.byteLevel {
			s.text = appendByteRunes(s.text[:0], word)
			word = string(s.text)
		}
		if b.ignoreMerges {
			if id, ok := b.voc.ids[word]; ok {
				if s.track {
					s.found = append(s.found, Span{0, n})
				}
				return append(dst, id)
			}
		}
		b.symbols(s, word)
	}
	b.pairs.merge(s)
	if s.track {
		at := 0
		for _, n := range s.lens {
			s.found = append(s.found, Span{at, at + int(n)})
			at += int(n)
		}
	}
	return append(dst, s.ids...)
}
