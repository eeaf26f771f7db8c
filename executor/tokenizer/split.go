package tokenizer

import "fmt"

// splitter cuts text at the matches of a pattern; the behaviour says what becomes of them.
type splitter struct {
	pattern pattern
	invert  bool // what does not match counts as match, and the other way round
	behave  behaviour
}

func readSplit(c *config, o object) ([]preTokenizer, error) {
	v, err := o.need("pattern")
	if err != nil {
		return nil, err
	}
	p, source, err := readPattern(v)
	if err != nil {
		return nil, err
	}
	invert, err := o.boolean("invert", false)
	if err != nil {
		return nil, err
	}
	behave, name, err := readBehaviour(o, "")
	if err != nil {
		return nil, err
	}
	if scan, known := scanners()[source]; known && (name == "Isolated" || name == "Removed" && invert) {
		return []preTokenizer{&scanSplit{scan, c.classes}}, nil
	}
	return []preTokenizer{&splitter{p, invert, behave}}, nil
}

func (s *splitter) split(r *run, at int, p piece) error {
	for len(r.spans) < at {
		r.spans = append(r.spans, nil)
	}
	spans, err := s.pattern.spans(r.spans[at-1][:0], p.text)
	r.spans[at-1] = spans
	if err != nil {
		return err
	}
	if s.invert {
		for i := range spans {
			spans[i].match = !spans[i].match
		}
	}
	for _, s := range s.behave(spans) {
		if err := r.next(at, p.cut(s.start, s.end)); err != nil {
			return err
		}
	}
	return nil
}

// scanSplit cuts text by a scanner, every match a piece.
type scanSplit struct {
	scan    scanner
	classes *classes
}

func (s *scanSplit) split(r *run, at int, p piece) error {
	for start := 0; start < len(p.text); {
		end := start + s.scan(s.classes, p.text[start:])
		if err := r.next(at, p.cut(start, end)); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// behaviour turns spans, which cover a text in order, into the pieces that are left; it may reuse their memory.
type behaviour func([]span) []span

func behaviours() []struct {
	name  string
	apply behaviour
} {
	return []struct {
		name  string
		apply behaviour
	}{
		{"Removed", removed},
		{"Isolated", func(s []span) []span { return s }},
		{"MergedWithPrevious", mergedWithPrevious},
		{"MergedWithNext", mergedWithNext},
		{"Contiguous", contiguous},
	}
}

// readBehaviour reads the field "behavior"; otherwise is meant where there is none, unless it is "".
func readBehaviour(o object, otherwise string) (behaviour, string, error) {
	v := o.byName["behavior"]
	name := otherwise
	if !v.absent() || otherwise == "" {
		var err error
		if v, err = o.need("behavior"); err != nil {
			return nil, "", err
		}
		if name, err = v.str(); err != nil {
			return nil, "", err
		}
	}
	var known []string
	for _, b := range behaviours() {
		if b.name == name {
			return b.apply, name, nil
		}
		known = append(known, b.name)
	}
	return nil, "", v.errorf("%.60q is not known%s; known are %s", name, nearest(name, known), fmt.Sprint(known))
}

func removed(spans []span) []span {
	out := spans[:0]
	for _, s := range spans {
		if !s.match {
			out = append(out, s)
		}
	}
	return out
}

// mergedWithPrevious joins a match to what stands before it, unless that is a match too.
func mergedWithPrevious(spans []span) []span {
	out, last := spans[:0], false
	for _, s := range spans {
		if s.match && !last && len(out) > 0 {
			out[len(out)-1].end = s.end
		} else {
			out = append(out, s)
		}
		last = s.match
	}
	return out
}

// mergedWithNext joins a match to what follows it, unless that is a match too.
func mergedWithNext(spans []span) []span {
	out := spans[:0]
	for i := 0; i < len(spans); i++ {
		s := spans[i]
		if s.match && i+1 < len(spans) && !spans[i+1].match {
			i++
			s.end = spans[i].end
		}
		out = append(out, s)
	}
	return out
}

// contiguous joins matches that follow each other, and what lies between matches likewise.
func contiguous(spans []span) []span {
	out := spans[:0]
	for i, s := range spans {
		if i > 0 && s.match == out[len(out)-1].match {
			out[len(out)-1].end = s.end
		} else {
			out = append(out, s)
		}
	}
	return out
}
