package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// readBertNormalizer makes the normalizer of google-research/bert: control characters vanish and white space becomes
// plain, Chinese characters stand apart, accents vanish, letters become small; each can be turned off.
func readBertNormalizer(_ *config, o object) (normalizer, error) {
	var clean, chinese, accents, lower bool
	for _, f := range []struct {
		name string
		to   *bool
	}{{"clean_text", &clean}, {"handle_chinese_chars", &chinese}, {"lowercase", &lower}} {
		var err error
		if *f.to, err = o.boolean(f.name, true); err != nil {
			return nil, err
		}
	}
	accents, err := o.boolean("strip_accents", lower)
	return func(p piece) (piece, error) {
		if clean {
			p = p.each(cleaned)
		}
		if chinese {
			p = apartChinese(p)
		}
		if accents {
			p = normalForm(norm.NFD, p).each(without(isNonspacing))
		}
		if lower {
			p = lowercase(p)
		}
		return p, nil
	}, err
}

// cleaned drops U+0000, U+FFFD and control, format and private characters, and makes all white space a space.
func cleaned(r rune) rune {
	switch {
	case r >= ' ' && r < 0x7F:
		return r
	case unicode.IsSpace(r):
		if r == 0x85 || r == '\v' || r == '\f' { // control characters, unlike tabs and line ends
			return -1
		}
		return ' '
	case r == 0, r == 0xFFFD, isOther(r):
		return -1
	}
	return r
}

// apartChinese puts spaces around every Chinese character.
func apartChinese(p piece) piece {
	at := strings.IndexFunc(p.text, isChinese)
	if at < 0 {
		return p
	}
	e := p.edit()
	e.keep(at)
	for _, r := range p.text[at:] {
		if isChinese(r) {
			e.replace(' ')
			e.insert(r)
			e.insert(' ')
		} else {
			e.keep(utf8.RuneLen(r))
		}
	}
	return e.done()
}

// isChinese tells the blocks of Chinese characters that are written without spaces.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, r >= 0x4E00 && r <= 0x9FFF, r >= 0xF900 && r <= 0xFAFF, r >= 0x20000 && r <= 0x2A6DF,
		r >= 0x2A700 && r <= 0x2B81F, r >= 0x2B920 && r <= 0x2CEAF, r >= 0x2F800 && r <= 0x2FA1F:
		return true
	}
	return false
}

// readBertPreTokenizer splits at white space, which is lost, and at punctuation, which is kept.
func readBertPreTokenizer(*config, object) ([]preTokenizer, error) {
	return []preTokenizer{
		&splitter{pattern: predicate(unicode.IsSpace), behave: removed},
		&splitter{pattern: predicate(isPunctuation), behave: isolated},
	}, nil
}
