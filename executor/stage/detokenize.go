package stage

import "context"

// DetokenizeAttr describes how ids become text.
type DetokenizeAttr struct {
	Special bool `cue:"special: bool | *false" doc:"keep special tokens, as those that begin and end a text"`
}

func detokenize() *Def {
	return &Def{
		Name: "detokenize", Title: "Detokenize", Result: Text,
		Doc: "turns ids into text by the model's tokenizer, as they come.",
		Ports: []Port{
			{Name: "x", Doc: "the ids", Kinds: []Kind{IDs}},
			{Name: "model", Doc: "the model whose tokenizer it is", Kinds: []Kind{Model}},
		},
		Attr: DetokenizeAttr{},
		Prepare: func(c *Call) error {
			_, err := c.Model("model").Tokenizer()
			return err
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			switch x := c.In["x"].(type) {
			case Tokens: // whoever makes them has decoded them
				return Chunks(func(yield func(string, error) bool) {
					for p, err := range x {
						if !yield(p.Text, err) || err != nil {
							return
						}
					}
				}), nil
			case []int32:
				t, err := c.Model("model").Tokenizer()
				if err != nil {
					return nil, err
				}
				return t.Decode(x, !c.Attr.(DetokenizeAttr).Special)
			}
			return nil, errKind(c.In["x"], IDs)
		},
	}
}
