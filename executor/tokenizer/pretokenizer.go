package tokenizer

// preTokenizer cuts a piece of text into smaller ones, and may change it.
type preTokenizer interface {
	// split calls r.next(at, ...) with each piece in order. first tells that the piece begins the whole text.
	split(r *run, at int, text string, first bool) error
}

func preTokenizers() []kind[[]preTokenizer] {
	return []kind[[]preTokenizer]{
		{"BertPreTokenizer", readBertPreTokenizer},
		{"ByteLevel", readByteLevel},
		{"Digits", readDigits},
		{"Metaspace", readMetaspace},
		{"Punctuation", readPunctuation},
		{"Sequence", readPreSequence},
		{"Split", readSplit},
		{"Whitespace", readWhitespace},
		{"WhitespaceSplit", readWhitespaceSplit},
	}
}

// readPreSequence gives the pre-tokenizers of a sequence one after the other; each works on the pieces of the last.
func readPreSequence(c *config, o object) ([]preTokenizer, error) {
	parts, err := sequence(c, o, "pretokenizers", preTokenizers)
	var flat []preTokenizer
	for _, p := range parts {
		flat = append(flat, p...)
	}
	return flat, err
}

// run is one call of Encode on its way through the pre-tokenizers to the model.
type run struct {
	t     *Tokenizer
	dst   []int32
	spans [][]span // working memory of each pre-tokenizer
	scratch
}

// next hands a piece to the pre-tokenizer at that place, or to the model after the last.
func (r *run) next(at int, text string, first bool) error {
	if text == "" {
		return nil
	}
	if at < len(r.t.split) {
		return r.t.split[at].split(r, at+1, text, first)
	}
	var err error
	r.dst, err = r.t.model.encode(&r.scratch, r.dst, text)
	return err
}
