package stage

import (
	"context"

	"pipe.dev/executor/decode"
)

// DetokenizeAttr describes how ids become text.
type DetokenizeAttr struct {
	Special bool `cue:"special: bool | *false" doc:"keep special tokens, as those that begin and end a text"`
}

func detokenize() *Def {
	return &Def{
		Name: "detokenize", Title: "Detokenize", Result: Text, Words: true,
		Doc: "turns ids into text by the model's tokenizer, as they come; ids of several texts into a list of them.",
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
			case []decode.Made:
				texts := make([]string, len(x))
				for i, made := range x {
					texts[i] = made.Text
				}
				return texts, nil
			case []int32:
				texts, err := decoded(c, x)
				if err != nil {
					return nil, err
				}
				return texts[0], nil
			case [][]int32:
				return decoded(c, x...)
			}
			return nil, errKind(c.In["x"], IDs)
		},
	}
}

// decoded are the texts of ids.
func decoded(c *Call, rows ...[]int32) ([]string, error) {
	t, err := c.Model("model").Tokenizer()
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(rows))
	for i, ids := range rows {
		if texts[i], err = t.Decode(ids, !c.Attr.(DetokenizeAttr).Special); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
