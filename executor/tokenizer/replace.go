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

func (r *replacer) replace(s string) (string, error) {
	if p, ok := r.pattern.(literal); ok {
		return strings.ReplaceAll(s, string(p), r.content), nil
	}
	spans, err := r.pattern.spans(nil, s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range spans {
		if p.match {
			b.WriteString(r.content)
		} else {
			b.WriteString(s[p.start:p.end])
		}
	}
	return b.String(), nil
}
