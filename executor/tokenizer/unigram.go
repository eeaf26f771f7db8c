package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"pipe.dev/executor/tokenizer/trie"
)

// unigram cuts a word into the tokens whose scores have the largest sum; scores are logarithms of probabilities. A
// character that is no token costs unknownPenalty more than the worst token, and runs of such are one unknown token,
// or bytes. Source: arXiv:1804.10959; ties and unknown characters as in Hugging Face tokenizers.
type unigram struct {
	voc          *vocabulary
	pieces       *trie.Trie
	scores       []float64
	unknown      int32 // -1: there is none
	unknownScore float64
	byteFallback bool
	strict       bool       // as SentencePiece has it: the unknown token is never spelt, bytes are of one character each
	single       bool       // sums are rounded to float32, as in SentencePiece
	fallback     [256]int32 // id of <0x00> to <0xFF>, -1
	cache        *wordCache
}

const unknownPenalty = 10

// step is the last token of the best way to a place of a word.
type step struct {
	score float64 // of the whole way
	from  int32   // where the token starts; -1: no way leads here
	id    int32
}

func readUnigram(_ *config, o object) (model, error) {
	m := &unigram{unknown: -1, cache: newWordCache()}
	v, err := o.need("vocab")
	if err != nil {
		return nil, err
	}
	if err := m.readPieces(v); err != nil {
		return nil, err
	}
	if v := o.byName["unk_id"]; !v.absent() {
		if m.unknown, err = v.integer(); err != nil {
			return nil, err
		}
		if int(m.unknown) >= len(m.scores) {
			return nil, v.errorf("is %d, beyond a vocabulary of %d", m.unknown, len(m.scores))
		}
	}
	if m.byteFallback, err = o.boolean("byte_fallback", false); err != nil {
		return nil, err
	}
	m.pieces = trie.New(m.voc.tokens)
	m.unknownScore = math.Inf(1)
	for _, s := range m.scores {
		m.unknownScore = min(m.unknownScore, s)
	}
	m.unknownScore -= unknownPenalty
	m.bytes()
	return m, nil
}

// bytes finds the byte tokens.
func (m *unigram) bytes() {
	for i := range m.fallback {
		m.fallback[i] = m.voc.id(fmt.Sprintf("<0x%02X>", i))
	}
}

// readPieces reads [[token, score], ...]; a token's id is its place.
func (m *unigram) readPieces(v value) error {
	var entries []entry
	bytes := 0
	err := v.items(func(item value) error {
		n, token := 0, ""
		err := item.items(func(part value) (err error) {
			switch n++; n {
			case 1:
				token, err = part.str()
			case 2:
				var score float64
				score, err = part.number()
				m.scores = append(m.scores, score)
			}
			return err
		})
		if err == nil && n != 2 {
			err = item.errorf("has %d items, want a token and its score", n)
		}
		if len(entries) > maxID {
			return item.errorf("is beyond the largest id allowed, %d", maxID)
		}
		entries = append(entries, entry{token, int32(len(entries))})
		bytes += len(token)
		return err
	})
	if err != nil {
		return err
	}
	m.voc, err = newVocabulary(v, entries, bytes, int32(len(entries))-1)
	return err
}

func (m *unigram) vocabulary() *vocabulary { return m.voc }

func (m *unigram) encode(s *scratch, dst []int32, word string) ([]int32, error) {
	if len(word) > longestCached || s.track {
		return m.encodeWord(s, dst, word)
	}
	slot, ids, ok := m.cache.find(word)
	if ok {
		return append(dst, ids...), nil
	}
	start := len(dst)
	dst, err := m.encodeWord(s, dst, word)
	if err == nil {
		m.cache.keep(slot, word, dst[start:])
	}
	return dst, err
}

func (m *unigram) encodeWord(s *scratch, dst []int32, word string) ([]int32, error) {
	if err := m.ways(s, word); err != nil {
		return dst, err
	}
	start, first := len(dst), len(s.found)
	for end := len(word); end > 0; {
		at := s.best[end]
		from := int(at.from)
		if at.id == m.unknown {
			for from > 0 && s.best[from].id == m.unknown && (!m.byteFallback || !m.strict) {
				from = int(s.best[from].from)
			}
			dst = m.appendUnknown(s, dst, word, from, end)
		} else {
			dst = append(dst, at.id)
			s.mark(from, end)
		}
		end = from
	}
	slices.Reverse(dst[start:])
	slices.Reverse(s.found[first:])
	return dst, nil
}

// mark notes the part of the word that an id stands for.
func (s *scratch) mark(start, end int) {
	if s.track {
		s.found = append(s.found, Span{start, end})
	}
}

// appendUnknown appends, last one first, the ids of a run of unknown characters.
func (m *unigram) appendUnknown(s *scratch, dst []int32, word string, from, end int) []int32 {
	run := word[from:end]
	start, first := len(dst), len(s.found)
	if id := m.voc.id(run); id >= 0 && !m.strict {
		s.mark(from, end)
		return append(dst, id)
	}
	for i := len(run) - 1; i >= 0 && m.byteFallback; i-- {
		id := m.fallback[run[i]]
		if id < 0 {
			dst, s.found = dst[:start], s.found[:first]
			break
		}
		dst = append(dst, id)
		if m.strict && i < len(run)-1 {
			s.mark(from, from)
		} else {
			s.mark(from, end)
		}
	}
	if len(dst) == start {
		dst = append(dst, m.unknown)
		s.mark(from, end)
	}
	return dst
}

// ways sets s.best to the best ways to all places of a word; of equal ones that with the longest last token stands,
// the one found first.
func (m *unigram) ways(s *scratch, word string) error {
	s.best = slices.Grow(s.best[:0], len(word)+1)[:len(word)+1]
	for i := range s.best {
		s.best[i] = step{from: -1}
	}
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		here, single := s.best[at].score, false
		node := trie.Root
		for i := at; i < len(word); {
			if node = m.pieces.Step(node, word[i]); node < 0 {
				break
			}
			i++
			id := m.pieces.Piece(node)
			if id < 0 {
				continue
			}
			single = single || i == at+size
			score := m.rounded(here + m.scores[id])
			if to := &s.best[i]; to.from < 0 || score > to.score {
				*to = step{score, int32(at), id}
			}
		}
		if to := &s.best[at+size]; !single && (to.from < 0 || m.rounded(here+m.unknownScore) > to.score) {
			if m.unknown < 0 {
				return errNoUnknown(word[at : at+size])
			}
			*to = step{m.rounded(here + m.unknownScore), int32(at), m.unknown}
		}
		at += size
	}
	return nil
}

func (m *unigram) rounded(score float64) float64 {
	if m.single {
		return float64(float32(score))
	}
	return score
}
