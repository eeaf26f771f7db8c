package stage

import "context"

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
			return t.Encode(nil, text.(string), c.Attr.(TokenizeAttr).Special)
		},
	}
}
