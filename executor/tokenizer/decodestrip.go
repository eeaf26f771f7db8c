package tokenizer

import "bytes"

// strip takes up to start copies of a character off the front of every token and up to stop off its end.
type strip struct {
	content     []byte
	start, stop int
}

func readStripDecoder(_ *config, o object) ([]decoder, error) {
	c, err := o.char("content")
	if err != nil {
		return nil, err
	}
	s := &strip{content: []byte(string(c))}
	for _, f := range []struct {
		name string
		to   *int
	}{{"start", &s.start}, {"stop", &s.stop}} {
		v, err := o.need(f.name)
		if err != nil {
			return nil, err
		}
		n, err := v.integer()
		if err != nil {
			return nil, err
		}
		*f.to = int(n)
	}
	return []decoder{s}, nil
}

func (*strip) fuses() bool { return false }

func (s *strip) open(next sink, fused bool) sink {
	return &stripper{strip: s, next: next, fused: fused, left: s.start}
}

type stripper struct {
	*strip
	next  sink
	fused bool
	left  int // copies that may still come off the front of a fused token
	held  int // copies at the end of what came of a fused token, which may yet have to come off
}

func (s *stripper) push(token []byte) error {
	if !s.fused {
		s.left = s.start
	}
	for s.left > 0 && len(token) > 0 {
		if !bytes.HasPrefix(token, s.content) {
			s.left = 0
			break
		}
		token = token[len(s.content):]
		s.left--
	}
	if !s.fused {
		for n := s.stop; n > 0 && bytes.HasSuffix(token, s.content); n-- {
			token = token[:len(token)-len(s.content)]
		}
		return s.next.push(token)
	}
	tail := 0
	for bytes.HasSuffix(token, s.content) {
		token = token[:len(token)-len(s.content)]
		tail++
	}
	if len(token) > 0 {
		if err := s.release(s.held); err != nil {
			return err
		}
		if err := s.next.push(token); err != nil {
			return err
		}
		s.held = 0
	}
	s.held += tail
	if s.held > s.stop {
		surplus := s.held - s.stop
		s.held = s.stop
		return s.release(surplus)
	}
	return nil
}

// release passes n copies on.
func (s *stripper) release(n int) error {
	for ; n > 0; n-- {
		if err := s.next.push(s.content); err != nil {
			return err
		}
	}
	return nil
}

func (s *stripper) flush() error { return s.next.flush() }
