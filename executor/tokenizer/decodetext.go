package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// edit is a decoder that rewrites every token by itself.
type edit struct {
	// make returns a function that appends what becomes of a token; n counts the tokens before it.
	apply func(dst, token []byte, n int) ([]byte, error)
}

func (edit) fuses() bool { return false }

func (e edit) open(next sink, fused bool) sink { return wholeIf(fused, &editor{edit: e, next: next}) }

type editor struct {
	edit
	next sink
	n    int
	buf  []byte
}

func (e *editor) push(token []byte) error {
	var err error
	if e.buf, err = e.apply(e.buf[:0], token, e.n); err != nil {
		return err
	}
	e.n++
	return e.next.push(e.buf)
}

func (e *editor) flush() error { return e.next.flush() }

// readReplaceDecoder replaces within every token.
func readReplaceDecoder(_ *config, o object) ([]decoder, error) {
	r, err := replacerOf(o)
	if err != nil {
		return nil, err
	}
	if p, ok := r.pattern.(literal); ok {
		return []decoder{&replaceText{[]byte(p), []byte(r.content)}}, nil
	}
	return []decoder{edit{func(dst, token []byte, _ int) ([]byte, error) {
		p, err := r.replace(piece{text: string(token)})
		return append(dst, p.text...), err
	}}}, nil
}

// replaceText replaces a text in every token, or in a fused one as it comes.
type replaceText struct{ old, new []byte }

func (*replaceText) fuses() bool { return false }

func (r *replaceText) open(next sink, fused bool) sink {
	return &textReplacer{replaceText: r, next: next, fused: fused}
}

type textReplacer struct {
	*replaceText
	next      sink
	fused     bool
	held, buf []byte // held: the end of what came, where old may begin
}

func (r *textReplacer) push(token []byte) error {
	rest := token
	if r.fused {
		r.held = append(r.held, token...)
		rest = r.held
	}
	r.buf = r.buf[:0]
	for {
		at := bytes.Index(rest, r.old)
		if at < 0 {
			break
		}
		r.buf = append(append(r.buf, rest[:at]...), r.new...)
		rest = rest[at+len(r.old):]
	}
	keep := 0
	if r.fused {
		keep = min(len(rest), len(r.old)-1)
		for keep < len(rest) && keep > 0 && !utf8.RuneStart(rest[len(rest)-keep]) {
			keep++
		}
	}
	r.buf = append(r.buf, rest[:len(rest)-keep]...)
	if r.fused {
		r.held = append(r.held[:0], rest[len(rest)-keep:]...)
		if len(r.buf) == 0 {
			return nil
		}
	}
	return r.next.push(r.buf)
}

func (r *textReplacer) flush() error {
	if r.fused {
		if err := r.next.push(r.held); err != nil {
			return err
		}
	}
	return r.next.flush()
}

// readMetaspaceDecoder makes the mark a space again; in the first token, where the mark was put, nothing.
func readMetaspaceDecoder(_ *config, o object) ([]decoder, error) {
	m, err := metaspaceOf(o)
	if err != nil {
		return nil, err
	}
	return []decoder{edit{func(dst, token []byte, n int) ([]byte, error) {
		space := " "
		if n == 0 && m.prepend != "never" {
			space = ""
		}
		return append(dst, bytes.ReplaceAll(token, []byte(m.mark), []byte(space))...), nil
	}}}, nil
}
