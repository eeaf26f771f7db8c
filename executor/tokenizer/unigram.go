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
	for i := range m.fallback {
		m.fallback[i] = m.voc.id(fmt.Sprintf("<0x%02X>", i))
	}
	m.pieces = trie.New(m.voc.tokens)
	m.unknownScore = math.Inf(1)
	for _, s := range m.scores {
		m.unknownScore = min(m.unknownScore, s)
	}
	m.unknownScore -= unknownPenalty
	return m, nil
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
	if len(word) > longestCached {
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
	start := len(dst)
	for end := len(word); end > 0; {
		at := s.best[end]
		from := int(at.from)
		if at.id != m.unknown {
			dst = append(dst, at.id)
			end = from
			continue
		}
		for from > 0 && s.best[from].id == m.unknown {
			from = int(s.best[from].from)
		}
		dst = m.appendUnknown(dst, word[from:end])
		end = from
	}
	slices.Reverse(dst[start:])
	return dst, nil
}

// appendUnknown appends, last one first, the ids of a run of unknown characters.
func (m *unigram) appendUnknown(dst []int32, run string) []int32 {
	if id := m.voc.id(run); id >= 0 {
		return append(dst, id)
	}
	if !m.byteFallback {
		return append(dst, m.unknown)
	}
	start := len(dst)
	for i := len(run) - 1; i >= 0; i-- {
		id := m.fallback[run[i]]
		if id < 0 {
			return append(dst[:start], m.unknown)
		}
		dst = append(dst, id)
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
			if to := &s.best[i]; to.from < 0 || here+m.scores[id] > to.score {
				*to = step{here + m.scores[id], int32(at), id}
			}
		}
		if to := &s.best[at+size]; !single && (to.from < 0 || here+m.unknownScore > to.score) {
			if m.unknown < 0 {
				return errNoUnknown(word[at : at+size])
			}
			*to = step{here + m.unknownScore, int32(at), m.unknown}
		}
		at += size
	}
	return nil
}
