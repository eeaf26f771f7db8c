package tokenizer

import "fmt"

// wordSink takes the words that the pre-tokenizers leave, in the place of a model.
type wordSink func(word string)

func (f wordSink) encode(_ *scratch, dst []int32, word string) ([]int32, error) {
	f(word)
	return dst, nil
}

func (wordSink) vocabulary() *vocabulary { return nil }

// Words returns a function that calls each with the words of a text, in order, as the normalizer and the pre-tokenizers
// make them: what the model would see if the text had no added tokens, as when a tokenizer is trained. Where a
// byte-level pre-tokenizer comes last, they are plain bytes, not yet the characters that stand for these (see
// ByteRune). The function is for one goroutine; a word may share the memory of the text. A text that is not UTF-8 is an
// error.
func (t *Tokenizer) Words(each func(word string)) func(text string) error {
	r := &run{t: &Tokenizer{split: t.split, model: wordSink(each)}}
	return func(text string) error {
		if at := invalidUTF8(text); at >= 0 {
			return fmt.Errorf("not UTF-8 at byte %d", at)
		}
		p := original(text, false)
		if t.normalize != nil {
			var err error
			if p, err = t.normalize(p); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		if err := r.next(0, p); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		return nil
	}
}
