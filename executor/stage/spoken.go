package stage

import (
	"context"

	"pipe.dev/executor/spoken"
)

func spokenText() *Def {
	return &Def{
		Name: "spoken", Title: "Spoken", Result: Text, Early: true,
		Doc:   "writes English text as it is read aloud: numbers, years, dates, times, money, measures, abbreviations and symbols become words.",
		Ports: []Port{{Name: "x", Doc: "the text", Kinds: []Kind{Text}}},
		Run: func(_ context.Context, c *Call) (Value, error) {
			text, ok := c.In["x"].(string)
			if !ok {
				return nil, errKind(c.In["x"], Text)
			}
			return spoken.Normalize(text), nil
		},
	}
}
