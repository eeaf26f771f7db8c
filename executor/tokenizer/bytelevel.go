package tokenizer

import "strings"

// byteLevel is the pre-tokenizer that splits by plainPattern and then writes every byte as one printable character
// (see ByteRune). When it comes last, that writing is left to a model that reads bytes.
// Source: the encoder of openai/gpt-2.
type byteLevel struct {
	space   bool // put before a text that does not start with one
	regex   bool
	write   bool
	classes *classes
}

func readByteLevel(c *config, o object) ([]preTokenizer, error) {
	p := &byteLevel{write: true, classes: c.classes}
	var err error
	if p.space, err = o.boolean("add_prefix_space", true); err != nil {
		return nil, err
	}
	p.regex, err = o.boolean("use_regex", true)
	return []preTokenizer{p}, err
}

func (b *byteLevel) split(r *run, at int, p piece) error {
	if b.space && !strings.HasPrefix(p.text, " ") {
		p = p.prepend(" ")
	}
	if !b.regex {
		return b.emit(r, at, p)
	}
	for start := 0; start < len(p.text); {
		end := start + scanPlain(b.classes, p.text[start:])
		if err := b.emit(r, at, p.cut(start, end)); err != nil {
			return err
		}
		start = end
	}
	return nil
}

func (b *byteLevel) emit(r *run, at int, p piece) error {
	if b.write {
		p = byteCharacters(p)
	}
	return r.next(at, p)
}

// ByteRune is the character that stands for a byte in byte-level tokens: itself where Latin-1 prints it, else U+0100 and up, in order.
func ByteRune(b byte) rune {
	switch {
	case b <= ' ':
		return 0x100 + rune(b)
	case b >= 0x7F && b <= 0xA0:
		return 0x121 + rune(b-0x7F)
	case b == 0xAD:
		return 0x143
	}
	return rune(b)
}

// runeByte is the byte that a character stands for, if it does.
func runeByte(r rune) (byte, bool) {
	switch {
	case r > ' ' && r < 0x7F, r > 0xA0 && r <= 0xFF && r != 0xAD:
		return byte(r), true
	case r >= 0x100 && r <= 0x120:
		return byte(r - 0x100), true
	case r >= 0x121 && r <= 0x142:
		return byte(r - 0x121 + 0x7F), true
	case r == 0x143:
		return 0xAD, true
	}
	return 0, false
}

// appendByteRunes appends the characters of the bytes of text; all are below U+0800.
func appendByteRunes(dst []byte, text string) []byte {
	for i := range len(text) {
		r := ByteRune(text[i])
		if r < 0x80 {
			dst = append(dst, byte(r))
		} else {
			dst = append(dst, 0xC0|byte(r>>6), 0x80|byte(r&0x3F))
		}
	}
	return dst
}
