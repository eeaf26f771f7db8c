package tokenizer

import "strings"

// replacer puts content in the place of every match of a pattern; content is taken as it is, without groups.
type replacer struct {
	pattern pattern
	content string
}

func replacerOf(o object) (*replacer, error) {
	v, err := o.need("pattern")
	if err != nil {
		return nil, err
	}
	p, _, err := readPattern(v)
	if err != nil {
		return nil, err
	}
	c, err := o.need("content")
	if err != nil {
		return nil, err
	}
	content, err := c.str()
	return &replacer{p, content}, err
}

func readReplaceNormalizer(_ *config, o object) (normalizer, error) {
	r, err := replacerOf(o)
	if err != nil {
		return nil, err
	}
	return r.replace, nil
}

func (r *replacer) replace(p piece) (piece, error) {
	if s, ok := r.pattern.(literal); ok && p.from == nil {
		p.text = strings.ReplaceAll(p.text, string(s), r.content)
		return p, nil
	}
	spans, err := r.pattern.spans(nil, p.text)
	if err != nil {
		return p, err
	}
	e := p.edit()
	for _, s := range spans {
		if !s.match {
			e.keep(s.end - s.start)
			continue
		}
		e.drop(s.end - s.start)
		for _, c := range r.content {
			e.insert(c)
		}
	}
	return e.done(), nil
}
