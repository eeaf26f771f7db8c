package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// postProcessor puts tokens around one or two encoded texts, and may change their types and offsets. What it returns
// is joined.
type postProcessor interface {
	process(list []*Encoding, special bool) []*Encoding
	// ids calls f with the ids it may add.
	ids(f func(id int32))
}

func postProcessors() []kind[postProcessor] {
	return []kind[postProcessor]{
		{"BertProcessing", readBertProcessing},
		{"ByteLevel", readTrim},
		{"RobertaProcessing", readRobertaProcessing},
		{"Sequence", readPostSequence},
		{"TemplateProcessing", readTemplate},
	}
}

// postSequence does one after the other.
type postSequence []postProcessor

func readPostSequence(c *config, o object) (postProcessor, error) {
	parts, err := sequence(c, o, "processors", postProcessors)
	templates := 0
	for _, p := range parts {
		if _, ok := p.(*template); ok {
			templates++
		}
	}
	if err == nil && templates > 1 {
		err = o.byName["processors"].errorf("has %d templates, want one at most", templates)
	}
	return postSequence(parts), err
}

func (s postSequence) process(list []*Encoding, special bool) []*Encoding {
	for _, p := range s {
		list = p.process(list, special)
	}
	return list
}

func (s postSequence) ids(f func(int32)) {
	for _, p := range s {
		p.ids(f)
	}
}

// trim takes white space off the offsets of tokens.
type trim struct {
	off   bool
	space bool // one space before a first token was put there, and is not in the text
}

func readTrim(_ *config, o object) (postProcessor, error) {
	on, err := o.boolean("trim_offsets", true)
	if err != nil {
		return nil, err
	}
	space, err := o.boolean("add_prefix_space", true)
	return &trim{!on, space}, err
}

func (t *trim) ids(func(int32)) {}

func (t *trim) process(list []*Encoding, _ bool) []*Encoding {
	if t.off {
		return list
	}
	for _, e := range list {
		for i, token := range e.Tokens {
			t.token(token, &e.Offsets[i], i == 0)
		}
		t.process(e.Overflow, true)
	}
	return list
}

func (t *trim) token(token string, s *Span, first bool) {
	blank := func(r rune) bool { return r == ByteRune(' ') || unicode.IsSpace(r) }
	leading := utf8.RuneCountInString(token) - utf8.RuneCountInString(strings.TrimLeftFunc(token, blank))
	trailing := utf8.RuneCountInString(token) - utf8.RuneCountInString(strings.TrimRightFunc(token, blank))
	if leading > 0 {
		if t.space && leading == 1 && (first || s.Start == 0) {
			leading = 0
		}
		s.Start = min(s.Start+leading, s.End)
	}
	if trailing > 0 && s.End >= trailing {
		s.End = max(s.End-trailing, s.Start)
	}
}

// around puts a token before and one after each text.
type around struct {
	cls, sep     int32
	clsIs, sepIs string
	roberta      bool // separators stand on both sides of a second text, all types are 0
	trimmer      trim
}

func readBertProcessing(_ *config, o object) (postProcessor, error) {
	a := &around{}
	return a, a.read(o)
}

func readRobertaProcessing(_ *config, o object) (postProcessor, error) {
	a := &around{roberta: true}
	on, err := o.boolean("trim_offsets", true)
	if err != nil {
		return nil, err
	}
	a.trimmer.off = !on
	if a.trimmer.space, err = o.boolean("add_prefix_space", true); err != nil {
		return nil, err
	}
	return a, a.read(o)
}

// read reads the tokens "cls" and "sep", each [content, id].
func (a *around) read(o object) error {
	for _, f := range []struct {
		name string
		id   *int32
		is   *string
	}{{"cls", &a.cls, &a.clsIs}, {"sep", &a.sep, &a.sepIs}} {
		v, err := o.need(f.name)
		if err != nil {
			return err
		}
		n := 0
		err = v.items(func(item value) error {
			var err error
			switch n++; n {
			case 1:
				*f.is, err = item.str()
			case 2:
				*f.id, err = item.integer()
			}
			return err
		})
		if err == nil && n != 2 {
			err = v.errorf("has %d items, want a token and its id", n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *around) ids(f func(int32)) {
	f(a.cls)
	f(a.sep)
}

func (a *around) process(list []*Encoding, special bool) []*Encoding {
	if a.roberta {
		a.trimmer.process(list, special)
		for _, e := range list {
			clear(e.Types)
			for _, o := range e.Overflow {
				if special { // else the library leaves them
					clear(o.Types)
				}
			}
		}
	}
	if !special {
		return list
	}
	var out []*Encoding
	for i, e := range list {
		kind := int32(0)
		if i > 0 && !a.roberta {
			kind = 1
		}
		switch {
		case i == 0:
			out = append(out, repeated(a.cls, a.clsIs, 0, 1, true))
		case a.roberta:
			out = append(out, repeated(a.sep, a.sepIs, 0, 1, true))
		}
		out = append(out, e, repeated(a.sep, a.sepIs, kind, 1, true))
	}
	return out
}
