package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"pipe.dev/executor/tokenizer/trie"
)

// Kinds of pieces, as SentencePiece and GGUF number them.
const (
	normalPiece = iota + 1
	unknownPiece
	controlPiece
	userPiece
	unusedPiece
	bytePiece
)

// pieces is a vocabulary of pieces with a score and a kind each, by id.
type pieces struct {
	voc    *vocabulary
	scores []float32
	kinds  []int8
}

// ofKind is added tokens for the pieces of some kind.
func (p *pieces) ofKind(kinds ...int8) (list []*addedToken) {
	for id, k := range p.kinds {
		for _, want := range kinds {
			if k == want {
				text := p.voc.tokens[id]
				list = append(list, &addedToken{content: text, normal: text, shown: text, id: int32(id), special: k != userPiece})
			}
		}
	}
	return list
}

// ParseSentencePiece reads a model of google/sentencepiece: BPE, Unigram or single characters. The name is for errors.
// Ids, text and offsets equal those of that library, which adds no tokens around a text and finds none in it but those
// that users defined.
func ParseSentencePiece(name string, data []byte) (*Tokenizer, error) {
	m, err := readSentencePiece(data)
	if err == nil && len(m.denormal) > 0 {
		err = errors.New("has rules that change the text again when it is decoded (denormalizer_spec), which are not read")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := newTokenizer(name)
	users := newFinder(m.ofKind(userPiece))
	n := &spacing{prefix: m.dummyPrefix, suffix: m.spaceAsSuffix, merge: m.removeSpaces, marks: true, mark: spaceMark}
	if !m.escapeSpaces {
		n.mark = " "
	}
	if len(users.tokens) > 0 {
		n.kept = users
	}
	if len(m.charsMap) > 0 {
		if n.rules, err = newCharsMap(m.charsMap); err != nil {
			return nil, fmt.Errorf("%s: precompiled_charsmap %w", name, err)
		}
	}
	t.normalize, t.voc = n.normalize, m.voc
	if m.kind == unigramModel {
		t.model = m.unigram()
	} else {
		t.model = m.bpe(users)
	}
	for _, a := range m.ofKind(controlPiece) {
		a.shown = "" // nothing
		t.added[a.id] = a
		t.special[a.content] = true
	}
	t.joined = true
	t.decoders = []decoder{&pieceDecoder{
		strip: m.dummyPrefix || m.removeSpaces, every: m.removeSpaces, unknown: m.voc.tokens[m.unknown], surface: m.surface, bytes: m.byteFallback,
	}}
	if m.bos >= 0 {
		t.setBOS(m.bos)
	}
	if m.eos >= 0 {
		t.addEOS(m.eos)
	}
	return t, nil
}

// unigram is the model as SentencePiece computes it.
func (m *sentencePiece) unigram() *unigram {
	u := &unigram{voc: m.voc, unknown: m.unknown, byteFallback: m.byteFallback, strict: true, single: true, cache: newWordCache()}
	low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
	for id, s := range m.scores {
		if m.kinds[id] == normalPiece {
			low, high = min(low, s), max(high, s)
		}
	}
	texts := make([]string, len(m.scores))
	u.scores = make([]float64, len(m.scores))
	for id, s := range m.scores {
		u.scores[id] = float64(s)
		switch m.kinds[id] {
		case userPiece:
			u.scores[id] = float64(float32(len(m.voc.tokens[id]))*high) - 0.1
			texts[id] = m.voc.tokens[id]
		case normalPiece:
			texts[id] = m.voc.tokens[id]
		}
	}
	u.pieces = trie.New(texts)
	u.unknownScore = float64(low - unknownPenalty)
	u.bytes()
	return u
}

// bpe is the model as SentencePiece computes it; of single characters it has no merges.
func (m *sentencePiece) bpe(users *finder) *bpe {
	b := newBPE(m.voc)
	b.unknown, b.byteFallback = m.unknown, m.byteFallback
	b.scored = &scored{}
	if len(users.tokens) > 0 {
		b.scored.whole = users
	}
	b.characters()
	p := piecesOf{scores: m.scores, may: func(id int32) bool {
		k := m.kinds[id]
		return m.kind == bpeModel && (k == normalPiece || k == userPiece || k == unusedPiece)
	}}
	for id, k := range m.kinds {
		if k == unusedPiece {
			if p.spare == nil {
				p.spare = make(spare, len(m.kinds))
			}
			p.spare[id] = true
		}
	}
	b.score(p)
	return b
}
