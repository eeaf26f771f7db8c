package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is split; a text that needs no change comes back as it is.
type normalizer func(text string) (string, error)

func normalizers() []kind[normalizer] {
	return []kind[normalizer]{
		{"BertNormalizer", readBertNormalizer},
		{"Lowercase", plain(lowercase)},
		{"NFC", plain(func(s string) string { return normalForm(norm.NFC, s) })},
		{"NFD", plain(func(s string) string { return normalForm(norm.NFD, s) })},
		{"NFKC", plain(func(s string) string { return normalForm(norm.NFKC, s) })},
		{"NFKD", plain(func(s string) string { return normalForm(norm.NFKD, s) })},
		{"Precompiled", readPrecompiled},
		{"Prepend", readPrepend},
		{"Replace", readReplaceNormalizer},
		{"Sequence", readNormalizerSequence},
		{"Strip", readStripNormalizer},
		{"StripAccents", plain(stripAccents)},
	}
}

// plain makes a reader of a normalizer that has no attributes.
func plain(f func(string) string) func(*config, object) (normalizer, error) {
	return func(*config, object) (normalizer, error) {
		return func(s string) (string, error) { return f(s), nil }, nil
	}
}

func readNormalizerSequence(c *config, o object) (normalizer, error) {
	parts, err := sequence(c, o, "normalizers", normalizers)
	return func(s string) (string, error) {
		for _, n := range parts {
			var err error
			if s, err = n(s); err != nil {
				return "", err
			}
		}
		return s, nil
	}, err
}

// lowercase maps each character by itself, so that no final sigma is made. U+0130 alone becomes two.
func lowercase(s string) string {
	if strings.ContainsRune(s, '\u0130') {
		s = strings.ReplaceAll(s, "\u0130", "i\u0307")
	}
	return strings.Map(unicode.ToLower, s)
}

func stripAccents(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsMark(r) {
			return -1
		}
		return r
	}, s)
}

// readPrepend puts a text before every text that is not empty.
func readPrepend(_ *config, o object) (normalizer, error) {
	v, err := o.need("prepend")
	if err != nil {
		return nil, err
	}
	prefix, err := v.str()
	return func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		return prefix + s, nil
	}, err
}

func readStripNormalizer(_ *config, o object) (normalizer, error) {
	left, err := o.boolean("strip_left", true)
	if err != nil {
		return nil, err
	}
	right, err := o.boolean("strip_right", true)
	return func(s string) (string, error) {
		if left {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		if right {
			s = strings.TrimRightFunc(s, unicode.IsSpace)
		}
		return s, nil
	}, err
}
