package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// metaspace writes spaces as a visible character (U+2581 as a rule), puts one before the text, and splits before each.
// As a decoder it does the reverse. Source: SentencePiece's treatment of spaces.
type metaspace struct {
	mark    string
	prepend string // always, first or never
	cut     bool
}

func metaspaceOf(o object) (*metaspace, error) {
	mark, err := o.char("replacement")
	if err != nil {
		return nil, err
	}
	m := &metaspace{mark: string(mark), prepend: "always"}
	if v := o.byName["prepend_scheme"]; !v.absent() {
		if m.prepend, err = v.str(); err != nil {
			return nil, err
		}
		if m.prepend != "always" && m.prepend != "first" && m.prepend != "never" {
			return nil, v.errorf("%.60q is not known; known are always, first, never", m.prepend)
		}
	}
	space, err := o.boolean("add_prefix_space", true)
	if err != nil {
		return nil, err
	}
	if !space && m.prepend != "never" {
		if v := o.byName["prepend_scheme"]; !v.absent() {
			return nil, v.errorf("is %q but add_prefix_space is false", m.prepend)
		}
		m.prepend = "never"
	}
	m.cut, err = o.boolean("split", true)
	return m, err
}

func readMetaspace(_ *config, o object) ([]preTokenizer, error) {
	m, err := metaspaceOf(o)
	return []preTokenizer{m}, err
}

func (m *metaspace) split(r *run, at int, text string, first bool) error {
	text = strings.ReplaceAll(text, " ", m.mark)
	if (m.prepend == "always" || m.prepend == "first" && first) && !strings.HasPrefix(text, m.mark) {
		text = m.mark + text
	}
	for m.cut {
		_, n := utf8.DecodeRuneInString(text)
		n = min(n, len(text))
		cut := strings.Index(text[n:], m.mark)
		if cut < 0 {
			break
		}
		if err := r.next(at, text[:n+cut], first); err != nil {
			return err
		}
		text, first = text[n+cut:], false
	}
	return r.next(at, text, first)
}
