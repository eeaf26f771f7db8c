package tokenizer

// model turns one word, a piece that the pre-tokenizers leave, into ids.
type model interface {
	// encode appends the ids of word to dst and, where s.track is set, the part of the word that each stands for to
	// s.found. It is called by many goroutines, each with a scratch of its own. A word that the model has no ids for,
	// not even of an unknown token, is an error.
	encode(s *scratch, dst []int32, word string) ([]int32, error)
	vocabulary() *vocabulary
}

// scratch is the working memory of one call of Encode, kept between calls.
type scratch struct {
	track      bool     // offsets are wanted
	found      []Span   // of ids, in bytes of their word
	ids        []int32  // symbols of the word at hand
	lens       []int32  // their lengths in bytes, where these are wanted
	merges     []uint64 // of neighbours in a short word
	prev, next []int32  // links of a long word
	queue      queue    // of a long word's merges
	splits     map[int32][2]int32
	text       []byte
	best       []step // best ways to the places of a word
}

func models() []kind[model] {
	return []kind[model]{
		{"BPE", readBPE},
		{"Unigram", readUnigram},
		{"WordLevel", readWordLevel},
		{"WordPiece", readWordPiece},
	}
}

// readModel reads the model by its type; early files have none, and show it by their fields.
func readModel(c *config, v value) (model, error) {
	o, err := v.object()
	if err != nil {
		return nil, err
	}
	if o.byName["type"].absent() {
		switch vocab := o.byName["vocab"]; {
		case !o.byName["merges"].absent():
			return readBPE(c, o)
		case !vocab.absent() && vocab.kind() == '[':
			return readUnigram(c, o)
		case !o.byName["continuing_subword_prefix"].absent():
			return readWordPiece(c, o)
		}
	}
	return pickObject(c, o, models)
}
