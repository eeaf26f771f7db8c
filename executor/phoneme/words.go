package phoneme

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Token is a word, or a mark of punctuation.
type Token struct {
	Text string
	Mark bool
}

// Split cuts text into words and marks. Letters lose their accents; hyphens part
// words; whatever else is neither a letter nor a mark that is heard is left out.
func Split(text string) []Token {
	var out []Token
	var word strings.Builder
	end := func() {
		if w := strings.Trim(word.String(), "'"); w != "" {
			out = append(out, Token{Text: word.String()})
		}
		word.Reset()
	}
	for _, c := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, c):
		case unicode.IsLetter(c) || c == '\'':
			word.WriteRune(c)
		case strings.ContainsRune(".,;:!?", c):
			end()
			if n := len(out); n > 0 && out[n-1].Mark { // of several the first is heard
				continue
			}
			out = append(out, Token{Text: string(c), Mark: true})
		default:
			end()
		}
	}
	end()
	return out
}

// Unknown lists the words that a lexicon lacks, each once, in the order of the text.
func (l *Lexicon) Unknown(tokens []Token) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range tokens {
		w := strings.ToLower(t.Text)
		if _, _, ok := l.sound(t.Text); ok || t.Mark || seen[w] {
			continue
		}
		seen[w] = true
		out = append(out, w)
	}
	return out
}

// sound looks a word up as it stands, and without quotes around it. Words of
// capital letters that the lexicon lacks, up to five, are spelled.
func (l *Lexicon) sound(word string) (phonemes []string, spelled, ok bool) {
	for _, w := range []string{word, strings.Trim(word, "'")} {
		if s, ok := l.Lookup(w); ok {
			return s, false, true
		}
	}
	if len(word) <= 5 && len(word) > 1 && word == strings.ToUpper(word) {
		if s := l.Spell(word); s != nil {
			return s, true, true
		}
	}
	return nil, false, false
}

// Say gives the phonemes of each token; marks are themselves. others has the
// words that Unknown listed; one that it lacks is spelled.
func (l *Lexicon) Say(tokens []Token, others map[string][]string) [][]string {
	var out [][]string
	for _, t := range tokens {
		if t.Mark {
			out = append(out, []string{t.Text})
			continue
		}
		s, _, ok := l.sound(t.Text)
		if !ok {
			if s, ok = others[strings.ToLower(t.Text)]; !ok {
				s = l.Spell(t.Text)
			}
		}
		if len(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}
