package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is split; a text that needs no change comes back as it is.
type normalizer func(p piece) (piece, error)

func normalizers() []kind[normalizer] {
	return []kind[normalizer]{
		{"BertNormalizer", readBertNormalizer},
		{"ByteLevel", plain(byteCharacters)},
		{"Lowercase", plain(lowercase)},
		{"NFC", plain(func(p piece) piece { return normalForm(norm.NFC, p) })},
		{"NFD", plain(func(p piece) piece { return normalForm(norm.NFD, p) })},
		{"NFKC", plain(func(p piece) piece { return normalForm(norm.NFKC, p) })},
		{"NFKD", plain(func(p piece) piece { return normalForm(norm.NFKD, p) })},
		{"Nmt", plain(func(p piece) piece { return p.each(nmt) })},
		{"Precompiled", readPrecompiled},
		{"Prepend", readPrepend},
		{"Replace", readReplaceNormalizer},
		{"Sequence", readNormalizerSequence},
		{"Strip", readStripNormalizer},
		{"StripAccents", plain(func(p piece) piece { return p.each(without(isMark)) })},
	}
}

// plain makes a reader of a normalizer that has no attributes.
func plain(f func(piece) piece) func(*config, object) (normalizer, error) {
	return func(*config, object) (normalizer, error) {
		return func(p piece) (piece, error) { return f(p), nil }, nil
	}
}

// without leaves characters out.
func without(is func(rune) bool) func(rune) rune {
	return func(r rune) rune {
		if is(r) {
			return -1
		}
		return r
	}
}

func readNormalizerSequence(c *config, o object) (normalizer, error) {
	parts, err := sequence(c, o, "normalizers", normalizers)
	return func(p piece) (piece, error) {
		for _, n := range parts {
			var err error
			if p, err = n(p); err != nil {
				return p, err
			}
		}
		return p, nil
	}, err
}

// lowercase maps each character by itself, so that no final sigma is made. U+0130 alone becomes two.
func lowercase(p piece) piece {
	if !strings.ContainsRune(p.text, '\u0130') {
		return p.each(toLower)
	}
	e := p.edit()
	for _, r := range p.text {
		if r == '\u0130' {
			e.replace('i')
			e.insert('\u0307')
		} else {
			e.replace(toLower(r))
		}
	}
	return e.done()
}

// nmt drops control characters and makes white space and what has no width a space.
// Source: the rules nmt_nfkc of SentencePiece, as the Rust library has them.
func nmt(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
		return ' '
	case r >= 1 && r <= 8, r == 0xB, r >= 0xE && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
		return -1
	}
	return r
}

// readPrepend puts a text before every text that is not empty.
func readPrepend(_ *config, o object) (normalizer, error) {
	v, err := o.need("prepend")
	if err != nil {
		return nil, err
	}
	prefix, err := v.str()
	return func(p piece) (piece, error) { return p.prepend(prefix), nil }, err
}

func readStripNormalizer(_ *config, o object) (normalizer, error) {
	left, err := o.boolean("strip_left", true)
	if err != nil {
		return nil, err
	}
	right, err := o.boolean("strip_right", true)
	return func(p piece) (piece, error) {
		start, end := 0, len(p.text)
		if left {
			start = end - len(strings.TrimLeftFunc(p.text, unicode.IsSpace))
		}
		if right {
			end = max(start, len(strings.TrimRightFunc(p.text, unicode.IsSpace)))
		}
		q := p.cut(start, end)
		q.first = p.first
		return q, nil
	}, err
}

// byteCharacters writes every byte as the character that stands for it (see ByteRune).
func byteCharacters(p piece) piece {
	e := p.edit()
	for i := range len(p.text) {
		if utf8.RuneStart(p.text[i]) {
			e.replace(ByteRune(p.text[i]))
		} else {
			e.insert(ByteRune(p.text[i]))
		}
	}
	return e.done()
}
