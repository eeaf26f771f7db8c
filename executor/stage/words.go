package stage

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/tensorfile"
)

// WordsAttr describes what words become.
type WordsAttr struct {
	Vocabulary string `cue:"vocabulary!: string & !=\"\"" doc:"a JSON file {word: id}"`
	Most       int    `cue:"most: int & >0 & <=65536 | *512" doc:"words there may be; memory is planned for so many"`
}

func words() *Def {
	return &Def{
		Name: "words", Title: "Words", Result: Tensor,
		Doc: "makes ids, i32 [1, n], of words between spaces, as of phonemes, by the vocabulary that a model learned with.",
		Ports: []Port{
			{Name: "x", Doc: "the words", Kinds: []Kind{Text}},
		},
		Attr: WordsAttr{},
		Promise: func(c *Call) Value {
			return tensorfile.Tensor{Name: c.ID, Type: ir.T(ir.I32, 1, c.Attr.(WordsAttr).Most)}
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			text, ok := c.In["x"].(string)
			if !ok {
				return nil, errKind(c.In["x"], Text)
			}
			a := c.Attr.(WordsAttr)
			c.read(a.Vocabulary)
			list, err := data.OpenList(data.ListAttr{Vocabulary: a.Vocabulary})
			if err != nil {
				return nil, err
			}
			ids, err := list.IDs(text)
			switch {
			case err != nil:
				return nil, fmt.Errorf("x %w", err)
			case len(ids) == 0:
				return nil, fmt.Errorf("x has no words")
			case len(ids) > a.Most:
				return nil, fmt.Errorf("x has %d words, and there may be %d: set most to more", len(ids), a.Most)
			}
			return tensorfile.FromInt32s(c.ID, ids, 1, len(ids)), nil
		},
	}
}
