package tokenizer

import (
	"unicode/utf8"
)

// Span is a part [Start, End) of a text.
type Span struct{ Start, End int }

// piece is a stretch of text on its way from the caller to the model, with where each of its bytes comes from.
type piece struct {
	text  string
	from  []Span // one a byte, in bytes of the caller's text; nil where nobody asks
	first bool   // it begins the whole text
}

// original is a text as the caller gave it: every byte comes from its own character.
func original(text string, tracked bool) piece {
	p := piece{text: text, first: true}
	if !tracked {
		return p
	}
	p.from = make([]Span, len(text))
	for i, r := range text {
		n := utf8.RuneLen(r)
		for k := range n {
			p.from[i+k] = Span{i, i + n}
		}
	}
	return p
}

// cut is the part [start, end).
func (p piece) cut(start, end int) piece {
	q := piece{text: p.text[start:end], first: p.first && start == 0}
	if p.from != nil {
		q.from = p.from[start:end:end]
	}
	return q
}

// origin is where the piece comes from as a whole.
func (p piece) origin() Span {
	if len(p.from) == 0 {
		return Span{}
	}
	return Span{p.from[0].Start, p.from[len(p.from)-1].End}
}

// rewriter rewrites a piece from front to back. What is new comes from where the
// character before it comes from, as in the Rust library.
type rewriter struct {
	old  piece
	at   int // bytes of old that are done
	text []byte
	from []Span
}

func (p piece) edit() *rewriter {
	e := &rewriter{old: p, text: make([]byte, 0, len(p.text)+len(p.text)/4+8)}
	if p.from != nil {
		e.from = make([]Span, 0, cap(e.text))
	}
	return e
}

// keep copies the next n bytes.
func (e *rewriter) keep(n int) {
	e.text = append(e.text, e.old.text[e.at:e.at+n]...)
	if e.old.from != nil {
		e.from = append(e.from, e.old.from[e.at:e.at+n]...)
	}
	e.at += n
}

// drop leaves the next n bytes out.
func (e *rewriter) drop(n int) { e.at += n }

// replace puts r in the place of the next character.
func (e *rewriter) replace(r rune) {
	e.write(r, min(e.at, len(e.old.text)-1))
	e.skip(1)
}

// insert puts r before the next character.
func (e *rewriter) insert(r rune) { e.write(r, e.at-1) }

// change is replace and the removal of the -n characters that follow where n is not positive, else insert.
func (e *rewriter) change(r rune, n int) {
	if n > 0 {
		e.insert(r)
		return
	}
	e.replace(r)
	e.skip(-n)
}

// skip leaves out the next n characters, as far as there are so many.
func (e *rewriter) skip(n int) {
	for ; n > 0 && e.at < len(e.old.text); n-- {
		_, size := utf8.DecodeRuneInString(e.old.text[e.at:])
		e.at += size
	}
}

// write appends r, which comes from the byte at that place.
func (e *rewriter) write(r rune, at int) {
	n := len(e.text)
	e.text = utf8.AppendRune(e.text, r)
	if e.old.from == nil {
		return
	}
	s := Span{e.old.origin().Start, e.old.origin().Start}
	if at >= 0 && at < len(e.old.from) {
		s = e.old.from[at]
	}
	for range len(e.text) - n {
		e.from = append(e.from, s)
	}
}

// done is the new piece; what was not reached is gone.
func (e *rewriter) done() piece {
	return piece{text: string(e.text), from: e.from, first: e.old.first}
}

// prepend puts prefix before a piece that is not empty.
func (p piece) prepend(prefix string) piece {
	if p.text == "" || prefix == "" {
		return p
	}
	if p.from == nil {
		p.text = prefix + p.text
		return p
	}
	from := make([]Span, 0, len(prefix)+len(p.from))
	for range len(prefix) {
		from = append(from, p.from[0])
	}
	return piece{prefix + p.text, append(from, p.from...), p.first}
}

// each rewrites a piece character by character: f gives what becomes of one, itself if that is all.
func (p piece) each(f func(r rune) rune) piece {
	at := 0
	for i, r := range p.text {
		if f(r) != r {
			at = i
			break
		}
		at = i + utf8.RuneLen(r)
	}
	if at == len(p.text) {
		return p
	}
	e := p.edit()
	e.keep(at)
	for _, r := range p.text[at:] {
		switch x := f(r); {
		case x < 0:
			e.drop(utf8.RuneLen(r))
		case x == r:
			e.keep(utf8.RuneLen(r))
		default:
			e.replace(x)
		}
	}
	return e.done()
}
