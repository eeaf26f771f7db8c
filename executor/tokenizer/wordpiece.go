package tokenizer

import (
	"fmt"
	"unicode/utf8"

	"pipe.dev/executor/tokenizer/trie"
)

// wordPiece takes the longest token that a word starts with, then the longest that goes on, marked by a prefix. A word
// that does not come out, or is too long, is the unknown token as a whole.
// Source: arXiv:1609.08144; the encoder of google-research/bert.
type wordPiece struct {
	voc     *vocabulary
	pieces  *trie.Trie
	inside  int32 // the node after the prefix, -1 where no token has it
	unknown int32 // -1: there is none
	longest int   // characters of a word
}

func readWordPiece(_ *config, o object) (model, error) {
	m := &wordPiece{longest: 100}
	var err error
	if m.voc, m.unknown, err = vocabularyAndUnknown(o, "[UNK]"); err != nil {
		return nil, err
	}
	prefix := "##"
	if !o.byName["continuing_subword_prefix"].absent() {
		if prefix, err = o.str("continuing_subword_prefix"); err != nil {
			return nil, err
		}
	}
	if v := o.byName["max_input_chars_per_word"]; !v.absent() {
		n, err := v.integer()
		if err != nil {
			return nil, err
		}
		m.longest = int(n)
	}
	m.pieces = trie.New(m.voc.tokens)
	m.inside = m.pieces.Walk(trie.Root, prefix)
	return m, nil
}

func (m *wordPiece) vocabulary() *vocabulary { return m.voc }

func (m *wordPiece) encode(s *scratch, dst []int32, word string) ([]int32, error) {
	start, first := len(dst), len(s.found)
	whole := len(word) <= m.longest || utf8.RuneCountInString(word) <= m.longest
	for at, from := 0, trie.Root; whole && at < len(word); from = m.inside {
		id, end := int32(-1), 0
		for i, node := at, from; i < len(word) && node >= 0; {
			node = m.pieces.Step(node, word[i])
			i++
			if node >= 0 && m.pieces.Piece(node) >= 0 {
				id, end = m.pieces.Piece(node), i
			}
		}
		whole = id >= 0
		dst = append(dst, id)
		s.mark(at, end)
		at = end
	}
	if whole {
		return dst, nil
	}
	if m.unknown < 0 {
		return dst[:start], errNoUnknown(word)
	}
	s.found = s.found[:first]
	s.mark(0, len(word))
	return append(dst[:start], m.unknown), nil
}

func errNoUnknown(word string) error {
	return fmt.Errorf("%.60q is not in the vocabulary, nor is an unknown token", word)
}
