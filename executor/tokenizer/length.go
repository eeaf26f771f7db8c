package tokenizer

import "fmt"

// truncation cuts encodings that are too long.
type truncation struct {
	length   int    // tokens of all texts, those of the post-processor included
	strategy string // LongestFirst, OnlyFirst, OnlySecond
	left     bool   // the beginning is cut off, not the end
}

// padding fills encodings that are too short.
type padding struct {
	length   int // 0: of the longest
	multiple int // lengths are rounded up to this, 0: they are not
	left     bool
	id, kind int32
	token    string
}

// choice reads a field that has one of some words; the first is meant where there is none.
func (o object) choice(key string, words ...string) (string, error) {
	v := o.byName[key]
	if v.absent() {
		return words[0], nil
	}
	s, err := v.str()
	if err != nil {
		return "", err
	}
	for _, w := range words {
		if s == w {
			return s, nil
		}
	}
	return "", v.errorf("%.60q is not known%s; known are %v", s, nearest(s, words), words)
}

// count reads a whole number, or 0 where there is none.
func (o object) count(key string) (int, error) {
	v := o.byName[key]
	if v.absent() {
		return 0, nil
	}
	n, err := v.integer()
	return int(n), err
}

func readTruncation(v value) (*truncation, error) {
	o, err := v.object()
	if err != nil {
		return nil, err
	}
	if _, err := o.need("max_length"); err != nil {
		return nil, err
	}
	t := &truncation{}
	if t.length, err = o.count("max_length"); err != nil {
		return nil, err
	}
	stride, err := o.count("stride")
	if err != nil {
		return nil, err
	}
	if t.length > 0 && stride >= t.length {
		return nil, o.byName["stride"].errorf("is %d, want less than max_length, %d", stride, t.length)
	}
	if t.strategy, err = o.choice("strategy", "LongestFirst", "OnlyFirst", "OnlySecond"); err != nil {
		return nil, err
	}
	direction, err := o.choice("direction", "Right", "Left")
	t.left = direction == "Left"
	return t, err
}

func readPadding(v value) (*padding, error) {
	o, err := v.object()
	if err != nil {
		return nil, err
	}
	p := &padding{}
	if s := o.byName["strategy"]; !s.absent() && s.kind() == '{' {
		fixed, err := s.object()
		if err != nil {
			return nil, err
		}
		if _, err := fixed.need("Fixed"); err != nil {
			return nil, err
		}
		if p.length, err = fixed.count("Fixed"); err != nil {
			return nil, err
		}
	} else if _, err := o.choice("strategy", "BatchLongest"); err != nil {
		return nil, err
	}
	direction, err := o.choice("direction", "Right", "Left")
	if err != nil {
		return nil, err
	}
	p.left = direction == "Left"
	for key, to := range map[string]*int32{"pad_id": &p.id, "pad_type_id": &p.kind} {
		n, err := o.count(key)
		if err != nil {
			return nil, err
		}
		*to = int32(n)
	}
	if p.multiple, err = o.count("pad_to_multiple_of"); err != nil {
		return nil, err
	}
	if p.length > maxID || p.multiple > maxID {
		return nil, v.errorf("asks for more than %d tokens", maxID)
	}
	p.token, err = o.str("pad_token")
	return p, err
}

// cut cuts one or two encodings, to which so many tokens will be added.
func (t *truncation) cut(list []*Encoding, added int) error {
	limit, total := t.length, 0
	for _, e := range list {
		total += len(e.IDs)
	}
	if added > limit {
		return fmt.Errorf("truncation.max_length is %d, and the post-processor adds %d tokens", limit, added)
	}
	limit -= added
	if limit == 0 {
		for _, e := range list {
			e.slice(0, 0)
		}
		return nil
	}
	if total <= limit {
		return nil
	}
	if t.strategy != "LongestFirst" {
		at := 0
		if t.strategy == "OnlySecond" {
			at = 1
		}
		if at >= len(list) {
			return fmt.Errorf("truncation.strategy is OnlySecond, and there is one text")
		}
		n := len(list[at].IDs) - (total - limit)
		if n <= 0 {
			return fmt.Errorf("truncation.strategy is %s, and that text of %d tokens is too short to lose %d", t.strategy, len(list[at].IDs), total-limit)
		}
		t.keep(list[at], n)
		return nil
	}
	if len(list) == 1 {
		t.keep(list[0], limit)
		return nil
	}
	short, long := list[0], list[1]
	if len(short.IDs) > len(long.IDs) {
		short, long = long, short
	}
	n, m := len(short.IDs), limit-len(short.IDs)
	if n > limit || n > m { // both are too long
		n = limit / 2
		m = n + limit%2
	}
	t.keep(short, n)
	t.keep(long, m)
	return nil
}

func (t *truncation) keep(e *Encoding, n int) {
	if all := len(e.IDs); n < all {
		if t.left {
			e.slice(all-n, all)
		} else {
			e.slice(0, n)
		}
	}
}

// Pad fills encodings to the length that the file asks for, or else to that of the longest. Without padding in the
// file it does nothing.
func (t *Tokenizer) Pad(list []*Encoding) {
	if t.padding != nil {
		t.padding.pad(list)
	}
}

func (p *padding) pad(list []*Encoding) {
	length := p.length
	if length == 0 {
		for _, e := range list {
			length = max(length, len(e.IDs))
		}
	}
	if p.multiple > 0 {
		length = (length + p.multiple - 1) / p.multiple * p.multiple
	}
	for _, e := range list {
		if n := length - len(e.IDs); n > 0 {
			fill := repeated(p.id, p.token, p.kind, n, false)
			if p.left {
				fill.join(e)
				*e = *fill
			} else {
				e.join(fill)
			}
		}
	}
}
