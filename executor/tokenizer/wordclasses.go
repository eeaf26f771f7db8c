package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

func isolated(spans []span) []span { return spans }

// readDigits splits numbers (\p{N}) off, each digit alone if so asked.
func readDigits(_ *config, o object) ([]preTokenizer, error) {
	single, err := o.boolean("individual_digits", false)
	behave := contiguous
	if single {
		behave = isolated
	}
	return []preTokenizer{&splitter{pattern: predicate(isNumeric), behave: behave}}, err
}

// readPunctuation splits at punctuation.
func readPunctuation(_ *config, o object) ([]preTokenizer, error) {
	behave, _, err := readBehaviour(o, "Isolated")
	return []preTokenizer{&splitter{pattern: predicate(isPunctuation), behave: behave}}, err
}

// readWhitespaceSplit splits at white space, which is lost.
func readWhitespaceSplit(*config, object) ([]preTokenizer, error) {
	return []preTokenizer{&splitter{pattern: predicate(unicode.IsSpace), behave: removed}}, nil
}

// readWhitespace keeps runs of word characters and runs of what is neither those nor white space: \w+|[^\w\s]+.
func readWhitespace(*config, object) ([]preTokenizer, error) {
	return []preTokenizer{&splitter{pattern: wordRuns{}, invert: true, behave: removed}}, nil
}

// wordRuns matches \w+|[^\w\s]+.
type wordRuns struct{}

func (wordRuns) spans(dst []span, text string) ([]span, error) {
	last := -1
	for i, r := range text {
		kind := 0
		switch {
		case isWord(r):
			kind = 1
		case unicode.IsSpace(r):
			kind = 2
		}
		if n := len(dst) - 1; kind == last {
			dst[n].end = i + utf8.RuneLen(r)
		} else {
			dst = append(dst, span{i, i + utf8.RuneLen(r), kind != 2})
		}
		last = kind
	}
	return dst, nil
}
