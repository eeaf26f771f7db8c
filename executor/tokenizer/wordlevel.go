package tokenizer

// wordLevel has one id for every word that it knows.
type wordLevel struct {
	voc     *vocabulary
	unknown int32 // -1: there is none
}

func readWordLevel(_ *config, o object) (model, error) {
	m := &wordLevel{}
	var err error
	m.voc, m.unknown, err = vocabularyAndUnknown(o, "<unk>")
	return m, err
}

// vocabularyAndUnknown reads the fields vocab and unk_token; a token that is not in the vocabulary gives -1.
func vocabularyAndUnknown(o object, otherwise string) (*vocabulary, int32, error) {
	v, err := o.need("vocab")
	if err != nil {
		return nil, 0, err
	}
	voc, err := readVocabulary(v)
	if err != nil {
		return nil, 0, err
	}
	unk := otherwise
	if !o.byName["unk_token"].absent() {
		if unk, err = o.str("unk_token"); err != nil {
			return nil, 0, err
		}
	}
	return voc, voc.id(unk), nil
}

func (m *wordLevel) vocabulary() *vocabulary { return m.voc }

func (m *wordLevel) encode(s *scratch, dst []int32, word string) ([]int32, error) {
	id := m.voc.id(word)
	if id < 0 {
		if id = m.unknown; id < 0 {
			return dst, errNoUnknown(word)
		}
	}
	s.mark(0, len(word))
	return append(dst, id), nil
}
