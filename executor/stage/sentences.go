package stage

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// SentencesAttr describes how a text is cut.
type SentencesAttr struct {
	Most int `cue:"most: int & >=20 & <=100000 | *400" doc:"letters of a sentence, marks and spaces among them; a longer one is cut at the last mark before that, or else at the last space"`
}

func sentences() *Def {
	return &Def{
		Name: "sentences", Title: "Sentences", Result: Text, Elements: true,
		Doc:   "cuts a text into sentences, at the marks . ! ? before a space and at empty lines. What reads them runs once for each, one sentence after the other, up to a stage that gathers them, as audio.write does.",
		Ports: []Port{{Name: "x", Doc: "the text", Kinds: []Kind{Text}}},
		Attr:  SentencesAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			v, err := Collect(c.In["x"])
			if err != nil {
				return nil, err
			}
			text, ok := v.(string)
			if !ok {
				return nil, errKind(v, Text)
			}
			list := cutSentences(text, c.Attr.(SentencesAttr).Most)
			if len(list) == 0 {
				return nil, fmt.Errorf("x has no words")
			}
			elements := make([]Value, len(list))
			for i, s := range list {
				elements[i] = s
			}
			return EachOf(elements), nil
		},
	}
}

// cutSentences cuts a text into sentences of at most so many letters, without the spaces around them.
func cutSentences(text string, most int) []string {
	var out []string
	add := func(s []rune) {
		for s = trimSpaces(s); len(s) > most; {
			n := cutBefore(s, most)
			out = append(out, string(trimSpaces(s[:n])))
			s = trimSpaces(s[n:])
		}
		if strings.ContainsFunc(string(s), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			out = append(out, string(s))
		} else if n := len(out); n > 0 && len(s) > 0 {
			out[n-1] += string(s)
		}
	}
	runes := []rune(text)
	from := 0
	for i := 0; i < len(runes); i++ {
		end := i + 1
		switch {
		case strings.ContainsRune(".!?", runes[i]):
			for end < len(runes) && strings.ContainsRune(".!?\"')]”’", runes[end]) {
				end++
			}
			if end < len(runes) && !unicode.IsSpace(runes[end]) {
				continue
			}
		case runes[i] == '\n' && emptyLine(runes[i+1:]):
		default:
			continue
		}
		add(runes[from:end])
		from, i = end, end-1
	}
	add(runes[from:])
	return out
}

// emptyLine reports whether a line of spaces alone comes next.
func emptyLine(s []rune) bool {
	for _, r := range s {
		if r == '\n' || !unicode.IsSpace(r) {
			return r == '\n'
		}
	}
	return false
}

func trimSpaces(s []rune) []rune { return []rune(strings.TrimSpace(string(s))) }

// cutBefore is where a sentence that is too long is cut.
func cutBefore(s []rune, most int) int {
	for _, marks := range []string{",;:", " \t\n"} {
		for n := most; n > most/2; n-- {
			if strings.ContainsRune(marks, s[n-1]) {
				return n
			}
		}
	}
	return most
}
