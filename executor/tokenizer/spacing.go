package tokenizer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// spaceMark stands for a space in pieces of SentencePiece.
const spaceMark = "\u2581"

// spacing is the normalizer of google/sentencepiece: characters are replaced by the longest rule that the text goes on
// with, spaces are marked, and one stands before the text, or after it.
type spacing struct {
	rules  *charsMap // nil: none
	kept   *finder   // pieces that are left as they are, nil: none
	prefix bool      // a space is put before the text
	suffix bool      // it is put after the text instead
	merge  bool      // spaces at the ends vanish, and of several in a row one is left
	marks  bool      // marks at the end of the text vanish like spaces
	mark   string
}

// normalize writes the new text. A byte comes from the place in the text where its character was read, up to where the next one was.
func (n *spacing) normalize(p piece) (piece, error) {
	w := spacingWriter{spacing: n, in: p, tracked: p.from != nil, text: make([]byte, 0, len(p.text)+len(p.text)/4+8)}
	at := 0
	for n.merge && at < len(p.text) {
		text, size := n.next(p.text[at:])
		if text != " " {
			break
		}
		at += size
	}
	if at == len(p.text) {
		return piece{from: p.from[:0], first: p.first}, nil
	}
	w.at = at
	if n.prefix && !n.suffix {
		w.space()
	}
	for blank := n.merge; at < len(p.text); {
		text, size := n.next(p.text[at:])
		w.at = at
		if blank {
			text = strings.TrimLeft(text, " ")
		}
		if text != "" {
			w.write(text)
			blank = strings.HasSuffix(text, " ")
		}
		blank = blank && n.merge
		at += size
	}
	w.at = at
	if n.merge {
		for bytes.HasSuffix(w.text, []byte(n.mark)) && (n.marks || w.blanks > 0) {
			w.blanks--
			w.text = w.text[:len(w.text)-len(n.mark)]
			if w.tracked {
				w.at, w.from = w.from[len(w.text)], w.from[:len(w.text)]
			}
		}
	}
	if n.prefix && n.suffix {
		w.space()
	}
	return w.done(), nil
}

// spacingWriter collects the new text and the place of each of its bytes.
type spacingWriter struct {
	*spacing
	in      piece
	tracked bool
	text    []byte
	from    []int
	at      int
	blanks  int // spaces at the end of text
}

func (w *spacingWriter) space() {
	blanks := w.blanks
	w.put(w.mark)
	w.blanks = blanks + 1
}

func (w *spacingWriter) put(s string) {
	if s != "" {
		w.blanks = 0
	}
	w.text = append(w.text, s...)
	for range len(s) {
		if w.tracked {
			w.from = append(w.from, w.at)
		}
	}
}

func (w *spacingWriter) write(s string) {
	for len(s) > 0 {
		n := strings.IndexByte(s, ' ')
		if n < 0 {
			n = len(s)
		}
		w.put(s[:n])
		if s = s[n:]; s != "" {
			w.space()
			s = s[1:]
		}
	}
}

func (w *spacingWriter) done() piece {
	q := piece{text: string(w.text), first: w.in.first}
	if !w.tracked {
		return q
	}
	q.from = make([]Span, len(w.text))
	start := w.in.origin().Start // of a text that nothing has changed before
	for i, at := range w.from {
		end := w.at
		if i+1 < len(w.from) {
			end = w.from[i+1]
		}
		q.from[i] = Span{start + at, start + end}
	}
	return q
}

// next is what becomes of the beginning of s, and its length.
func (n *spacing) next(s string) (text string, size int) {
	if n.kept != nil {
		if t := n.kept.longest(s); t != nil {
			return t.normal, len(t.normal)
		}
	}
	if n.rules != nil && !(s[0] < utf8.RuneSelf && n.rules.plain[s[0]]) {
		if text, size := n.rules.longest(s); size > 0 {
			return text, size
		}
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 { // a rule ended within a character
		return replacement, 1
	}
	return s[:size], size
}
