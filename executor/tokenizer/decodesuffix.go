package tokenizer

import "bytes"

// suffixDecoder makes the suffix that ends a word a space, and nothing in the last token.
type suffixDecoder struct{ old []byte }

func readSuffixDecoder(_ *config, o object) ([]decoder, error) {
	s, err := o.str("suffix")
	if err == nil && s == "" {
		err = o.self.errorf("has no %q", "suffix")
	}
	return []decoder{&suffixDecoder{[]byte(s)}}, err
}

func (*suffixDecoder) fuses() bool { return false }

func (d *suffixDecoder) open(next sink, fused bool) sink {
	return wholeIf(fused, &suffixes{suffixDecoder: d, next: next})
}

type suffixes struct {
	*suffixDecoder
	next sink
	some bool
	last []byte // the token that may be the last
}

func (s *suffixes) push(token []byte) error {
	if s.some {
		if err := s.next.push(bytes.ReplaceAll(s.last, s.old, []byte{' '})); err != nil {
			return err
		}
	}
	s.some = true
	s.last = append(s.last[:0], token...)
	return nil
}

func (s *suffixes) flush() error {
	if s.some {
		if err := s.next.push(bytes.ReplaceAll(s.last, s.old, nil)); err != nil {
			return err
		}
	}
	return s.next.flush()
}
