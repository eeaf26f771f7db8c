package stage

import (
	"context"
	"fmt"
	"strings"
)

// TokenizeAttr describes how text becomes ids.
type TokenizeAttr struct {
	Special bool `cue:"special: bool | *true" doc:"add what the tokenizer puts around a text, as a token that begins it"`
}

func tokenize() *Def {
	return &Def{
		Name: "tokenize", Title: "Tokenize", Result: IDs,
		Doc: "turns text into ids by the model's tokenizer.",
		Ports: []Port{
			{Name: "x", Doc: "the text", Kinds: []Kind{Text}},
			{Name: "model", Doc: "the model whose tokenizer it is", Kinds: []Kind{Model}},
		},
		Attr: TokenizeAttr{},
		Prepare: func(c *Call) error {
			_, err := c.Model("model").Tokenizer()
			return err
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			t, err := c.Model("model").Tokenizer()
			if err != nil {
				return nil, err
			}
			text, err := Collect(c.In["x"])
			if err != nil {
				return nil, err
			}
			if lost := t.Lost(text.(string)); len(lost) > 0 && c.Warn != nil {
				c.Warn(fmt.Errorf("%s: the tokenizer of %s has no token for %s: left out of the text", c.ID, c.Model("model").Dir(), quoted(lost)))
			}
			return t.Encode(nil, text.(string), c.Attr.(TokenizeAttr).Special)
		},
	}
}

// quoted lists characters, the first of many.
func quoted(list []rune) string {
	const most = 8
	var out []string
	for _, r := range list[:min(len(list), most)] {
		out = append(out, fmt.Sprintf("%q", r))
	}
	text := strings.Join(out, ", ")
	if n := len(list) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
