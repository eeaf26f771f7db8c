package tokenizer

// preTokenizer cuts a piece of text into smaller ones, and may change it.
type preTokenizer interface {
	// split calls r.next(at, ...) with each piece in order.
	split(r *run, at int, p piece) error
}

func preTokenizers() []kind[[]preTokenizer] {
	return []kind[[]preTokenizer]{
		{"BertPreTokenizer", readBertPreTokenizer},
		{"ByteLevel", readByteLevel},
		{"CharDelimiterSplit", readCharDelimiter},
		{"Digits", readDigits},
		{"FixedLength", readFixedLength},
		{"Metaspace", readMetaspace},
		{"Punctuation", readPunctuation},
		{"Sequence", readPreSequence},
		{"Split", readSplit},
		{"UnicodeScripts", readUnicodeScripts},
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
	out   *Encoding // what offsets and the like go to, where s.track is set
	word  int32     // number of pieces before this one
	spans [][]span  // working memory of each pre-tokenizer
	scratch
}

// next hands a piece to the pre-tokenizer at that place, or to the model after the last.
func (r *run) next(at int, p piece) error {
	if p.text == "" {
		return nil
	}
	if at < len(r.t.split) {
		return r.t.split[at].split(r, at+1, p)
	}
	if r.track {
		return r.trace(p)
	}
	var err error
	r.dst, err = r.t.model.encode(&r.scratch, r.dst, p.text)
	return err
}

// trace encodes a word and notes where its tokens come from.
func (r *run) trace(p piece) error {
	r.found = r.found[:0]
	start := len(r.dst)
	var err error
	if r.dst, err = r.t.model.encode(&r.scratch, r.dst, p.text); err != nil {
		return err
	}
	u, _ := r.t.model.(*unigram)
	for i, id := range r.dst[start:] {
		s, token := r.found[i], r.t.voc.tokens[id]
		if u != nil && id == u.unknown {
			token = p.text[s.Start:s.End]
		}
		r.out.append(token, p.source(s), r.word)
	}
	r.word++
	return nil
}

// source is where a part of a piece comes from. A part beyond its end, as of tokens with more characters than their
// text, is taken as it is, like the Rust library does.
func (p piece) source(s Span) Span {
	switch {
	case s.End > len(p.from):
		return s
	case s.Start < s.End:
		return Span{p.from[s.Start].Start, p.from[s.End-1].End}
	case s.Start < len(p.from):
		return Span{p.from[s.Start].Start, p.from[s.Start].Start}
	}
	return Span{p.origin().End, p.origin().End}
}
