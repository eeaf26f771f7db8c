package tokenizer

// model turns one word, a piece that the pre-tokenizers leave, into ids.
type model interface {
	// encode appends the ids of word to dst. It is called by many goroutines, each with a scratch of its own.
	encode(s *scratch, dst []int32, word string) []int32
	vocabulary() *vocabulary
}

// scratch is the working memory of one call of Encode, kept between calls.
type scratch struct {
	ids        []int32  // symbols of the word at hand
	merges     []uint64 // of neighbours in a short word
	prev, next []int32  // links of a long word
	queue      []uint64 // of a long word's merges
	text       []byte
}

func models() []kind[model] {
	return []kind[model]{
		{"BPE", readBPE},
	}
}

// readModel reads the model by its type; early files have none, and mean BPE.
func readModel(c *config, v value) (model, error) {
	o, err := v.object()
	if err != nil {
		return nil, err
	}
	if o.byName["type"].absent() && !o.byName["merges"].absent() {
		return readBPE(c, o)
	}
	return pickObject(c, o, models)
}
