package tokenizer

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// pieceDecoder makes text of SentencePiece's pieces: marks become spaces, but for one at the beginning, byte pieces
// characters, and the unknown piece its surface. What of bytes is no UTF-8 becomes U+FFFD, each byte by itself.
type pieceDecoder struct {
	strip   bool // the mark that begins the first piece vanishes
	every   bool // so do those of the pieces after it, as long as there is no text
	bytes   bool // there are byte pieces
	unknown string
	surface string
}

func (*pieceDecoder) fuses() bool { return false }

func (d *pieceDecoder) open(next sink, _ bool) sink { return &pieceText{pieceDecoder: d, next: next} }

type pieceText struct {
	*pieceDecoder
	next sink
	some bool // there is text, or a mark was taken
	held []byte
	buf  []byte
}

func (p *pieceText) push(token []byte) error {
	if b, ok := byteToken(token); ok && p.bytes {
		p.held = append(p.held, b)
		return p.pass(false)
	}
	if err := p.pass(true); err != nil {
		return err
	}
	if string(token) == p.unknown {
		return p.text([]byte(p.surface))
	}
	taken := false
	if p.strip && !p.some {
		token, taken = bytes.CutPrefix(token, []byte(spaceMark))
	}
	p.some = p.some || taken && !p.every
	p.buf = append(p.buf[:0], bytes.ReplaceAll(token, []byte(spaceMark), []byte{' '})...)
	return p.text(p.buf)
}

func (p *pieceText) text(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.some = true
	return p.next.push(b)
}

// pass hands on the characters of the bytes held that are complete; at the end all.
func (p *pieceText) pass(end bool) error {
	p.buf = p.buf[:0]
	rest := p.held
	for len(rest) > 0 && (end || utf8.FullRune(rest)) {
		r, n := utf8.DecodeRune(rest)
		p.buf = utf8.AppendRune(p.buf, r)
		rest = rest[n:]
	}
	p.held = append(p.held[:0], rest...)
	return p.text(p.buf)
}

func (p *pieceText) flush() error {
	if err := p.pass(true); err != nil {
		return err
	}
	return p.next.flush()
}

// byteToken reads <0x00> to <0xFF>.
func byteToken(token []byte) (byte, bool) {
	if len(token) != 6 || string(token[:3]) != "<0x" || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(string(token[3:5]), 16, 8)
	return byte(b), err == nil
}
