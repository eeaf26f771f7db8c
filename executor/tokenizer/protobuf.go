package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Kinds of models in a SentencePiece file.
const (
	unigramModel = iota + 1
	bpeModel
	wordModel
	charModel
)

// sentencePiece is what a model file says. Source: sentencepiece_model.proto of google/sentencepiece.
type sentencePiece struct {
	pieces
	kind          uint64
	byteFallback  bool
	spaceAsSuffix bool
	surface       string // of the unknown piece in a text
	bos, eos      int32  // -1: none
	unknown       int32

	charsMap, denormal                      []byte
	dummyPrefix, removeSpaces, escapeSpaces bool
}

// field is one of a message: a number, or bytes.
type field struct {
	number int
	value  uint64
	bytes  []byte
}

// fields calls f with every field of a message in the wire format of protocol buffers.
func fields(data []byte, f func(field) error) error {
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errors.New("is no SentencePiece model: bad field")
		}
		data = data[n:]
		x := field{number: int(key >> 3)}
		switch key & 7 {
		case 0:
			if x.value, n = binary.Uvarint(data); n <= 0 {
				return errors.New("is no SentencePiece model: bad number")
			}
		case 1:
			n = 8
		case 5:
			if n = 4; len(data) >= n {
				x.value = uint64(binary.LittleEndian.Uint32(data))
			}
		case 2:
			size, k := binary.Uvarint(data)
			if k <= 0 || size > uint64(len(data)-k) {
				return errors.New("is no SentencePiece model, or cut short")
			}
			n = k + int(size)
			x.bytes = data[k:n:n]
		default:
			return errors.New("is no SentencePiece model: bad field")
		}
		if n > len(data) {
			return errors.New("is no SentencePiece model, or cut short")
		}
		data = data[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

func readSentencePiece(data []byte) (*sentencePiece, error) {
	m := &sentencePiece{
		kind: unigramModel, surface: " \u2047 ", bos: 1, eos: 2, unknown: -1,
		dummyPrefix: true, removeSpaces: true, escapeSpaces: true,
	}
	m.voc = &vocabulary{ids: map[string]int32{}}
	err := fields(data, func(x field) error {
		switch x.number {
		case 1:
			return m.piece(x.bytes)
		case 2:
			return m.trainer(x.bytes)
		case 3:
			return m.normalizer(x.bytes)
		case 5:
			return fields(x.bytes, func(x field) error {
				if x.number == 2 {
					m.denormal = x.bytes
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

// piece reads one entry of the vocabulary.
func (m *sentencePiece) piece(data []byte) error {
	text, score, kind := "", float32(0), int8(normalPiece)
	err := fields(data, func(x field) error {
		switch x.number {
		case 1:
			text = string(x.bytes)
		case 2:
			score = math.Float32frombits(uint32(x.value))
		case 3:
			if x.value < normalPiece || x.value > bytePiece {
				return fmt.Errorf("piece %d has type %d, want 1 to 6", len(m.kinds), x.value)
			}
			kind = int8(x.value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.add(text, score, kind)
}

// add enters the next piece.
func (p *pieces) add(text string, score float32, kind int8) error {
	id := int32(len(p.kinds))
	switch {
	case text == "":
		return fmt.Errorf("piece %d is empty", id)
	case !utf8.ValidString(text):
		return fmt.Errorf("piece %d is not UTF-8", id)
	case score != score:
		return fmt.Errorf("piece %d, %.60q, has the score NaN", id, text)
	case id > maxID:
		return fmt.Errorf("has more than %d pieces", maxID+1)
	}
	p.scores, p.kinds = append(p.scores, score), append(p.kinds, kind)
	return p.voc.add(text, id)
}

func (m *sentencePiece) trainer(data []byte) error {
	return fields(data, func(x field) error {
		switch x.number {
		case 3:
			m.kind = x.value
		case 24:
			m.spaceAsSuffix = x.value != 0
		case 35:
			m.byteFallback = x.value != 0
		case 41:
			m.bos = int32(x.value)
		case 42:
			m.eos = int32(x.value)
		case 44:
			m.surface = string(x.bytes)
		}
		return nil
	})
}

func (m *sentencePiece) normalizer(data []byte) error {
	return fields(data, func(x field) error {
		switch x.number {
		case 2:
			m.charsMap = x.bytes
		case 3:
			m.dummyPrefix = x.value != 0
		case 4:
			m.removeSpaces = x.value != 0
		case 5:
			m.escapeSpaces = x.value != 0
		}
		return nil
	})
}

func (m *sentencePiece) check() error {
	if len(m.kinds) == 0 {
		return errors.New("is no SentencePiece model: it has no pieces")
	}
	if m.kind < unigramModel || m.kind > charModel || m.kind == wordModel {
		return fmt.Errorf("is a model of type %d; read are 1 (unigram), 2 (BPE) and 4 (characters)", m.kind)
	}
	for id, k := range m.kinds {
		if k == unknownPiece {
			if m.unknown >= 0 {
				return fmt.Errorf("pieces %d and %d are both unknown tokens", m.unknown, id)
			}
			m.unknown = int32(id)
		}
	}
	if m.unknown < 0 {
		return errors.New("has no unknown token")
	}
	if !utf8.ValidString(m.surface) {
		return errors.New("unk_surface is not UTF-8")
	}
	for _, id := range []*int32{&m.bos, &m.eos} {
		if int(*id) >= len(m.kinds) || *id >= 0 && m.kinds[*id] != controlPiece {
			*id = -1
		}
	}
	for i := range 256 {
		if b := fmt.Sprintf("<0x%02X>", i); m.byteFallback && m.voc.id(b) < 0 {
			return fmt.Errorf("falls back to bytes, and has no %s", b)
		}
	}
	return nil
}
