package tokenizer

// decoder is one step from tokens to text. Its state is made anew for every text.
type decoder interface {
	// open returns a sink that passes what becomes of the tokens on to next. fused tells that what comes are not
	// tokens but parts of one: an earlier step has joined them.
	open(next sink, fused bool) sink
	// fuses tells that the step joins the tokens to one.
	fuses() bool
}

// sink takes tokens, or the parts of one, each of whole UTF-8 characters. The bytes are lent for the call only.
type sink interface {
	push(token []byte) error
	flush() error // after the last
}

func decoders() []kind[[]decoder] {
	return []kind[[]decoder]{
		{"BPEDecoder", readSuffixDecoder},
		{"ByteFallback", readByteFallback},
		{"ByteLevel", readByteLevelDecoder},
		{"CTC", readCTC},
		{"Fuse", readFuse},
		{"Metaspace", readMetaspaceDecoder},
		{"Replace", readReplaceDecoder},
		{"Sequence", readDecoderSequence},
		{"Strip", readStripDecoder},
		{"WordPiece", readWordPieceDecoder},
	}
}

func readDecoderSequence(c *config, o object) ([]decoder, error) {
	parts, err := sequence(c, o, "decoders", decoders)
	var flat []decoder
	for _, p := range parts {
		flat = append(flat, p...)
	}
	return flat, err
}

// openAll chains the steps before last.
func openAll(steps []decoder, last sink) sink {
	fused := make([]bool, len(steps)+1)
	for i, d := range steps {
		fused[i+1] = fused[i] || d.fuses()
	}
	for i := len(steps) - 1; i >= 0; i-- {
		last = steps[i].open(last, fused[i])
	}
	return last
}

// fuse joins the tokens.
type fuse struct{}

func readFuse(*config, object) ([]decoder, error) { return []decoder{fuse{}}, nil }

func (fuse) fuses() bool                 { return true }
func (fuse) open(next sink, _ bool) sink { return next }

// spaced puts a space between tokens: what is done where there is no decoder.
type spaced struct {
	next sink
	some bool
}

func (s *spaced) push(token []byte) error {
	if s.some {
		if err := s.next.push([]byte{' '}); err != nil {
			return err
		}
	}
	s.some = true
	return s.next.push(token)
}

func (s *spaced) flush() error { return s.next.flush() }

// whole collects the parts of a fused token for a step that must see all of it.
type whole struct {
	next sink
	all  []byte
}

func (w *whole) push(part []byte) error {
	w.all = append(w.all, part...)
	return nil
}

func (w *whole) flush() error {
	if err := w.next.push(w.all); err != nil {
		return err
	}
	return w.next.flush()
}

// wholeIf makes a step that works on tokens work on a fused one.
func wholeIf(fused bool, step sink) sink {
	if fused {
		return &whole{next: step}
	}
	return step
}
