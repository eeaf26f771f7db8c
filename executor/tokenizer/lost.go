package tokenizer

import "unicode"

// Lost lists the characters of a text that no token stands for and that vanish
// from it, each once, in order. Models that have a token for what is unknown, or
// one for every byte, lose nothing; nor do those of other kinds than BPE, which
// report such a text or have a token for it.
func (t *Tokenizer) Lost(text string) []rune {
	b, ok := t.model.(*bpe)
	if !ok || b.unknown >= 0 || b.prefix != "" || b.suffix != "" || b.byteLevel && b.allBytes {
		return nil
	}
	var lost []rune
	seen := map[rune]bool{}
	for _, r := range text {
		if seen[r] || unicode.IsSpace(r) && len(t.split) > 0 { // which parts words
			continue
		}
		seen[r] = true
		if ids, err := t.Encode(nil, string(r), false); err == nil && len(ids) == 0 && t.stays(r) {
			lost = append(lost, r)
		}
	}
	return lost
}

// stays reports whether the normalizer leaves anything of a character.
func (t *Tokenizer) stays(r rune) bool {
	if t.normalize == nil {
		return true
	}
	p, err := t.normalize(piece{text: string(r)})
	return err == nil && p.text != ""
}
