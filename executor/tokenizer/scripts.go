package tokenizer

import "unicode/utf8"

// scripts splits where the script of the text changes. What has none, and spaces, go with what is before them; Hiragana
// and Katakana count as Han. Source: the pre-tokenizer of SentencePiece's trainer.
type scripts struct{}

func readUnicodeScripts(*config, object) ([]preTokenizer, error) {
	return []preTokenizer{scripts{}}, nil
}

func (scripts) split(r *run, at int, p piece) error {
	const none, anything = -2, -1
	last, start := int16(none), -1
	for i, c := range p.text {
		script := scriptOf(c)
		if script == anything {
			continue
		}
		if last != script {
			if start >= 0 {
				if err := r.next(at, p.cut(start, i)); err != nil {
					return err
				}
			}
			start, last = i, script
		}
	}
	if start < 0 {
		return nil // of a text without any script nothing is left
	}
	return r.next(at, p.cut(start, len(p.text)))
}

// fixedLength splits into pieces of so many characters.
type fixedLength int

func readFixedLength(_ *config, o object) ([]preTokenizer, error) {
	v := o.byName["length"]
	if v.absent() {
		return []preTokenizer{fixedLength(5)}, nil
	}
	n, err := v.integer()
	if err == nil && n == 0 {
		err = v.errorf("is 0, want 1 at least")
	}
	return []preTokenizer{fixedLength(n)}, err
}

func (f fixedLength) split(r *run, at int, p piece) error {
	start, n := 0, 0
	for i, c := range p.text {
		if n++; n == int(f) {
			end := i + utf8.RuneLen(c)
			if err := r.next(at, p.cut(start, end)); err != nil {
				return err
			}
			start, n = end, 0
		}
	}
	return r.next(at, p.cut(start, len(p.text)))
}

// readCharDelimiter splits at a character, which is lost.
func readCharDelimiter(_ *config, o object) ([]preTokenizer, error) {
	c, err := o.char("delimiter")
	return []preTokenizer{&splitter{pattern: literal(string(c)), behave: removed}}, err
}
