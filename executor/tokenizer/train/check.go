package train

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"pipe.dev/internal/suggest"
)

// Check finds the first mistake in attributes, which documents or Go may have made. Run does so too.
func (a *Attr) Check() error {
	for _, f := range []struct {
		name  string
		value string
		known []string
	}{
		{"kind", a.Kind, names(trainers())},
		{"split", a.Split, names(splits())},
		{"prefix_space", a.PrefixSpace, []string{"auto", "always", "first", "never"}},
	} {
		if err := oneOf(f.name, f.value, f.known); err != nil {
			return err
		}
	}
	for _, n := range a.Normalizers {
		if err := oneOf("normalizers", n, names(normalizers())); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name       string
		value, low int
	}{
		{"vocab_size", a.VocabSize, 1}, {"min_frequency", a.MinFrequency, 0}, {"limit_alphabet", a.LimitAlphabet, 0},
		{"max_token_length", a.MaxTokenLength, 0}, {"seed_size", a.SeedSize, 1}, {"max_piece_length", a.MaxPieceLength, 1},
		{"sub_iterations", a.SubIterations, 1},
	} {
		if f.value < f.low {
			return fmt.Errorf("%s is %d, want %d at least", f.name, f.value, f.low)
		}
	}
	if a.VocabSize > maxVocabulary {
		return fmt.Errorf("vocab_size is %d, want %d at most", a.VocabSize, maxVocabulary)
	}
	if !(a.ShrinkingFactor > 0 && a.ShrinkingFactor < 1) {
		return fmt.Errorf("shrinking_factor is %v, want more than 0 and less than 1", a.ShrinkingFactor)
	}
	if err := checkTokens(a); err != nil {
		return err
	}
	return checkTogether(a)
}

// maxVocabulary is the number of ids that the reader of tokenizer.json allows.
const maxVocabulary = 1 << 24

func names[T any](table []named[T]) []string {
	all := make([]string, len(table))
	for i, row := range table {
		all[i] = row.name
	}
	return all
}

func oneOf(field, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	hint := suggest.DidYouMean(value, known)
	if hint != "" {
		hint = ", " + hint
	}
	return fmt.Errorf("%s: %.60q is not known%s; known are %s", field, value, hint, strings.Join(known, ", "))
}

// checkTokens looks at the special tokens and those that must be among them.
func checkTokens(a *Attr) error {
	seen := map[string]bool{}
	for _, s := range a.SpecialTokens {
		switch {
		case s == "":
			return fmt.Errorf("special_tokens: a token is empty")
		case !utf8.ValidString(s):
			return fmt.Errorf("special_tokens: %.60q is not UTF-8", s)
		case seen[s]:
			return fmt.Errorf("special_tokens: %.60q comes twice", s)
		}
		seen[s] = true
	}
	for _, f := range []struct{ name, token string }{{"unk_token", a.UnknownToken}, {"bos_token", a.BeginToken}, {"eos_token", a.EndToken}} {
		if f.token != "" && !seen[f.token] {
			return fmt.Errorf("%s: %.60q is not among special_tokens", f.name, f.token)
		}
	}
	if a.UnknownToken == "" && a.Kind != "bpe" && !a.ByteLevel {
		return fmt.Errorf("unk_token: %s needs one, among special_tokens, unless byte_level is set", a.Kind)
	}
	if a.ByteFallback {
		for i := range 256 {
			if s := byteToken(byte(i)); seen[s] {
				return fmt.Errorf("special_tokens: %q is also a token of byte_fallback", s)
			}
		}
	}
	for _, f := range []struct{ name, text string }{
		{"initial_alphabet", a.InitialAlphabet}, {"continuing_subword_prefix", a.Prefix}, {"end_of_word_suffix", a.Suffix}, {"pattern", a.Pattern},
	} {
		if !utf8.ValidString(f.text) {
			return fmt.Errorf("%s: %.60q is not UTF-8", f.name, f.text)
		}
	}
	return nil
}

// checkTogether refuses attributes that exclude each other or that a kind does not have.
func checkTogether(a *Attr) error {
	alien := func(kind, field string, set bool) error {
		if set && a.Kind == kind {
			return fmt.Errorf("%s: %s has none", field, kind)
		}
		return nil
	}
	for _, err := range []error{
		alien("unigram", "limit_alphabet", a.LimitAlphabet > 0),
		alien("unigram", "min_frequency", a.MinFrequency > 0),
		alien("unigram", "continuing_subword_prefix", a.Prefix != ""),
		alien("unigram", "end_of_word_suffix", a.Suffix != ""),
		alien("unigram", "max_token_length", a.MaxTokenLength > 0),
		alien("wordpiece", "end_of_word_suffix", a.Suffix != ""),
		alien("wordpiece", "byte_fallback", a.ByteFallback),
		alien("wordpiece", "max_token_length", a.MaxTokenLength > 0),
		alien("wordpiece", "fuse_unk", a.FuseUnknown),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case a.ByteLevel && a.ByteFallback:
		return fmt.Errorf("byte_fallback: byte_level leaves nothing to fall back from")
	case a.ByteLevel && (a.LimitAlphabet > 0 || a.InitialAlphabet != ""):
		return fmt.Errorf("limit_alphabet, initial_alphabet: byte_level has the 256 bytes for alphabet")
	case a.ByteLevel && a.Split == "metaspace":
		return fmt.Errorf("split: metaspace and byte_level exclude each other")
	case a.ByteLevel && a.PrefixSpace == "first":
		return fmt.Errorf("prefix_space: byte_level knows always and never")
	case a.Pattern != "" && a.Split != "auto":
		return fmt.Errorf("pattern: stands in for split, which is %q", a.Split)
	case !a.ByteLevel && splitOf(a) != "metaspace" && a.PrefixSpace != "auto":
		return fmt.Errorf("prefix_space: only metaspace and byte_level put one")
	}
	return nil
}

func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
