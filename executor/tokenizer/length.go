package tokenizer

import "fmt"

// truncation cuts encodings that are too long.
type truncation struct {
	length   int    // tokens of all texts, those of the post-processor included
	stride   int    // tokens that pieces of what is cut off share
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
	if t.stride, err = o.count("stride"); err != nil {
		return nil, err
	}
	if t.length > 0 && t.stride >= t.length {
		return nil, o.byName["stride"].errorf("is %d, want less than max_length, %d", t.stride, t.length)
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

// cut cuts one or two encodings, to which so many tokens will be added; overflow says whether what is cut off is kept.
func (t *truncation) cut(list []*Encoding, added int, overflow bool) error {
	limit, total := t.length, 0
	for _, e := range list {
		total += len(e.IDs)
	}
	if added > limit {
		return fmt.Errorf("truncation.max_length is %d, and the post-processor adds %d tokens", limit, added)
	}
	limit -= added
	if limit > 0 && total <= limit {
		return nil
	}
	keep, err := t.lengths(list, limit, total)
	if err != nil {
		return err
	}
	pieces := 1
	for i, e := range list {
		n := len(e.IDs)
		if n <= keep[i] {
			continue
		}
		if overflow && keep[i] > 0 && t.stride >= keep[i] {
			return fmt.Errorf("truncation.stride is %d, want less than the %d tokens of the text that stay", t.stride, keep[i])
		}
		if overflow && keep[i] > 0 {
			pieces *= 1 + (n-t.stride-1)/(keep[i]-t.stride)
		}
	}
	if pieces > maxPieces {
		return fmt.Errorf("what truncation to %d tokens cuts off would be %d pieces, more than %d", t.length, pieces, maxPieces)
	}
	for i, e := range list {
		t.keep(e, keep[i], overflow)
	}
	return nil
}

// maxPieces bounds what is kept of what is cut off.
const maxPieces = 1 << 16

// lengths are how many tokens stay of one or two encodings that have total together and may have limit.
func (t *truncation) lengths(list []*Encoding, limit, total int) ([2]int, error) {
	var keep [2]int
	switch {
	case limit == 0:
		return keep, nil
	case t.strategy != "LongestFirst":
		for i, e := range list {
			keep[i] = len(e.IDs)
		}
		at := 0
		if t.strategy == "OnlySecond" {
			at = 1
		}
		if at >= len(list) {
			return keep, fmt.Errorf("truncation.strategy is OnlySecond, and there is one text")
		}
		if keep[at] -= total - limit; keep[at] <= 0 {
			return keep, fmt.Errorf("truncation.strategy is %s, and that text of %d tokens is too short to lose %d", t.strategy, len(list[at].IDs), total-limit)
		}
		return keep, nil
	case len(list) == 1:
		keep[0] = limit
		return keep, nil
	}
	short, long := 0, 1
	if len(list[0].IDs) > len(list[1].IDs) {
		short, long = 1, 0
	}
	n, m := len(list[short].IDs), limit-len(list[short].IDs)
	if n > limit || n > m { // both are too long
		n = limit / 2
		m = n + limit%2
	}
	keep[short], keep[long] = n, m
	return keep, nil
}

// keep leaves n tokens of an encoding; what else there is becomes its overflow, in pieces of n that share stride
// tokens with the one before.
func (t *truncation) keep(e *Encoding, n int, overflow bool) {
	all := *e
	total := len(e.IDs)
	if n >= total {
		return
	}
	piece := func(i, j int) *Encoding {
		p := all
		p.slice(i, j)
		return p.clone()
	}
	switch {
	case n == 0:
		if e.slice(0, 0); overflow {
			e.Overflow = []*Encoding{piece(0, total)}
		}
	case t.left:
		e.slice(total-n, total)
		for end := total - n + t.stride; overflow && end > t.stride; end -= n - t.stride {
			e.Overflow = append(e.Overflow, piece(max(end-n, 0), end))
		}
	default:
		e.slice(0, n)
		for start := n - t.stride; overflow && start+t.stride < total; start += n - t.stride {
			e.Overflow = append(e.Overflow, piece(start, min(start+n, total)))
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
		p.fill(e, length)
	}
}

// fill fills an encoding and its overflow.
func (p *padding) fill(e *Encoding, length int) {
	for _, o := range e.Overflow {
		p.fill(o, length)
	}
	n := length - len(e.IDs)
	if n <= 0 {
		return
	}
	overflow := e.Overflow
	e.Overflow = nil // which is filled already
	fill := repeated(p.id, p.token, p.kind, n, false)
	if p.left {
		fill.join(e)
		*e = *fill
	} else {
		e.join(fill)
	}
	e.Overflow = overflow
}
