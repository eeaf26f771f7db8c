package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// scored is what a BPE model needs whose merges are not listed: any two neighbours that together spell a piece merge,
// those of the highest score first. Source: the bpe model of google/sentencepiece.
type scored struct {
	size  int32   // ids from here on are characters that pieces contain and that are none themselves
	chars []rune  // those characters
	whole *finder // pieces that are found before all else and never merge; nil: none
}

// piecesOf is what merges may make: scores by id, and which ids take part.
type piecesOf struct {
	scores []float32
	may    func(id int32) bool
	spare  spare
}

// score gives a model the merges that follow from scores. Equal scores have equal ranks.
func (b *bpe) score(p piecesOf) {
	b.scored.size = int32(len(b.voc.tokens))
	b.virtual(p.may)
	byScore := make([]int32, 0, len(b.voc.tokens))
	for id := range b.scored.size {
		if b.voc.has[id] && p.may(id) {
			byScore = append(byScore, id)
		}
	}
	slices.SortStableFunc(byScore, func(i, j int32) int {
		switch x, y := p.scores[i], p.scores[j]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	var merges [][4]int32 // left, right, rank, result
	rank := int32(-1)
	for k, id := range byScore {
		if k == 0 || p.scores[id] != p.scores[byScore[k-1]] {
			rank++
		}
		token := b.voc.tokens[id]
		for i := range token {
			if i == 0 {
				continue
			}
			l, r := b.part(token[:i], p.may), b.part(token[i:], p.may)
			if l >= 0 && r >= 0 {
				merges = append(merges, [4]int32{l, r, rank, id})
			}
		}
	}
	b.pairs = newPairTable(len(merges))
	results := make([]int32, len(merges))
	for i, m := range merges {
		b.pairs.set(m[0], m[1], m[2], m[3])
		results[i] = m[3]
	}
	b.pairs.spare = p.spare
	if b.scored.whole != nil {
		for _, t := range b.scored.whole.tokens {
			results = append(results, t.id) // which may not be cut either
		}
	}
	b.cuts = newCuts(b.voc, results)
}

// part is the id of what may stand left or right of a merge: a piece, or a single character.
func (b *bpe) part(text string, may func(int32) bool) int32 {
	if id := b.voc.id(text); id >= 0 && may(id) {
		return id
	}
	if r, n := utf8.DecodeRuneInString(text); n == len(text) {
		return b.char(r)
	}
	return -1
}

// virtual gives ids to the characters that pieces contain and that are none themselves.
func (b *bpe) virtual(may func(int32) bool) {
	for id, token := range b.voc.tokens {
		if !b.voc.has[id] || !may(int32(id)) {
			continue
		}
		for _, r := range token {
			if b.char(r) < 0 {
				b.setChar(r, b.scored.size+int32(len(b.scored.chars)))
				b.scored.chars = append(b.scored.chars, r)
			}
		}
	}
}

func (b *bpe) encodeScored(s *scratch, dst []int32, word string) []int32 {
	if b.scored.whole == nil {
		return b.encodeBetween(s, dst, word, 0)
	}
	for at := 0; at < len(word); {
		start, end, token := b.scored.whole.find(word, at)
		dst = b.encodeBetween(s, dst, word[at:start], at)
		if token != nil {
			dst = append(dst, token.id)
			s.mark(start, end)
		}
		at = end
	}
	return dst
}

// encodeBetween encodes a part of a word, which begins at a place of it.
func (b *bpe) encodeBetween(s *scratch, dst []int32, part string, at int) []int32 {
	s.ids, s.lens = s.ids[:0], s.lens[:0]
	for i, n := 0, 0; i < len(part); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(part[i:])
		id := b.char(r)
		if id < 0 {
			id = 1<<31 - 1 // merges with nothing
		}
		s.ids, s.lens = append(s.ids, id), append(s.lens, int32(n))
	}
	if b.pairs.spare != nil {
		s.splits = map[int32][2]int32{}
	}
	b.pairs.merge(s)
	base, unknown := at, false
	for i, id := range s.ids {
		start, end := at, at+int(s.lens[i])
		at = end
		if id < b.scored.size {
			dst, unknown = b.appendPiece(s, dst, id, start), false
			continue
		}
		text := part[start-base : end-base]
		if b.byteFallback {
			dst = b.appendUnknownBytes(s, dst, text, start, end)
			continue
		}
		if unknown { // runs of unknown characters are one token
			if s.track {
				s.found[len(s.found)-1].End = end
			}
			continue
		}
		dst, unknown = append(dst, b.unknown), true
		s.mark(start, end)
	}
	return dst
}

// appendPiece appends a piece, or the parts of one that no text becomes.
func (b *bpe) appendPiece(s *scratch, dst []int32, id int32, start int) []int32 {
	if parts, ok := s.splits[id]; ok && b.pairs.spare != nil && b.pairs.spare[id] {
		left := b.spelling(parts[0])
		return b.appendPiece(s, b.appendPiece(s, dst, parts[0], start), parts[1], start+left)
	}
	s.mark(start, start+b.spelling(id))
	if id >= b.scored.size {
		id = b.unknown
	}
	return append(dst, id)
}

// spelling is the length in bytes of a symbol's text.
func (b *bpe) spelling(id int32) int {
	if id < b.scored.size {
		return len(b.voc.tokens[id])
	}
	return utf8.RuneLen(b.scored.chars[id-b.scored.size])
}

// appendUnknownBytes appends the byte tokens of a character. As in the original, the last stands for the character and
// the others for nothing.
func (b *bpe) appendUnknownBytes(s *scratch, dst []int32, text string, start, end int) []int32 {
	for i := range len(text) {
		id := b.fallback[text[i]]
		if id < 0 {
			id = b.unknown
		}
		if id < 0 {
			continue
		}
		dst = append(dst, id)
		if i == len(text)-1 {
			s.mark(start, end)
		} else {
			s.mark(start, start)
		}
	}
	return dst
}
