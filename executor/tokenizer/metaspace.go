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

func (m *metaspace) split(r *run, at int, p piece) error {
	p = m.marked(p)
	for m.cut {
		_, n := utf8.DecodeRuneInString(p.text)
		n = min(n, len(p.text))
		cut := strings.Index(p.text[n:], m.mark)
		if cut < 0 {
			break
		}
		if err := r.next(at, p.cut(0, n+cut)); err != nil {
			return err
		}
		p = p.cut(n+cut, len(p.text))
	}
	return r.next(at, p)
}

// marked is the text with marks for spaces, and one before it where that is wanted.
func (m *metaspace) marked(p piece) piece {
	if strings.IndexByte(p.text, ' ') >= 0 {
		r := replacer{literal(" "), m.mark}
		p, _ = r.replace(p) // a literal matches without errors
	}
	if (m.prepend == "always" || m.prepend == "first" && p.first) && !strings.HasPrefix(p.text, m.mark) {
		p = p.prepend(m.mark)
	}
	return p
}
