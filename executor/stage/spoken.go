package stage

import (
	"context"
	"regexp"
	"strings"

	"pipe.dev/executor/spoken"
)

// emptyLines part paragraphs.
var emptyLines = regexp.MustCompile(`\n[ \t\r]*\n\s*`)

func spokenText() *Def {
	return &Def{
		Name: "spoken", Title: "Spoken", Result: Text, Early: true,
		Doc:   "writes English text as it is read aloud: numbers, years, dates, times, money, measures, abbreviations and symbols become words. Paragraphs stay apart, by an empty line; other ends of lines are spaces.",
		Ports: []Port{{Name: "x", Doc: "the text", Kinds: []Kind{Text}}},
		Run: func(_ context.Context, c *Call) (Value, error) {
			text, ok := c.In["x"].(string)
			if !ok {
				return nil, errKind(c.In["x"], Text)
			}
			parts := emptyLines.Split(strings.TrimSpace(text), -1)
			for i, p := range parts {
				parts[i] = spoken.Normalize(p)
			}
			return strings.Join(parts, "\n\n"), nil
		},
	}
}
