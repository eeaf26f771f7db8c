package stage

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// TokenizeAttr describes how text becomes ids.
type TokenizeAttr struct {
	Special bool   `cue:"special: bool | *true" doc:"add what the tokenizer puts around a text, as a token that begins it"`
	Length  int    `cue:"length: int & >=0 | *0" doc:"cut or fill the ids of each text to so many; a token that ends a text stays; 0 leaves them as long as they are"`
	Fill    string `cue:"fill: string | *\"\"" doc:"the token to fill with, where a length is given"`
}

func tokenize() *Def {
	return &Def{
		Name: "tokenize", Title: "Tokenize", Result: IDs, Early: true, Words: true,
		Doc: "turns text into ids by the model's tokenizer; a list of texts into a list of them.",
		Ports: []Port{
			{Name: "x", Doc: "the text, or a list of texts", Kinds: []Kind{Text, List}},
			{Name: "model", Doc: "the model whose tokenizer it is", Kinds: []Kind{Model}},
		},
		Attr: TokenizeAttr{},
		Prepare: func(c *Call) error {
			_, err := c.Model("model").Tokenizer()
			return err
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			texts, several, err := textsOf("x", c.In["x"])
			if err != nil {
				return nil, err
			}
			rows := make([][]int32, len(texts))
			for i, text := range texts {
				if rows[i], err = tokenized(c, text); err == nil {
					rows[i], err = fitted(c, rows[i])
				}
				if err != nil {
					return nil, err
				}
			}
			if several {
				return rows, nil
			}
			return rows[0], nil
		},
	}
}

// tokenized is one text as ids; what no token stands for is told.
func tokenized(c *Call, text string) ([]int32, error) {
	m := c.Model("model")
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	if lost := t.Lost(text); len(lost) > 0 && c.Warn != nil {
		c.Warn(fmt.Errorf("%s: the tokenizer of %s has no token for %s: left out of the text", c.ID, m.Dir(), quoted(lost)))
	}
	return t.Encode(nil, text, c.Attr.(TokenizeAttr).Special)
}

// fitted cuts or fills ids to the length that is asked for.
func fitted(c *Call, ids []int32) ([]int32, error) {
	a := c.Attr.(TokenizeAttr)
	if a.Length == 0 || len(ids) == a.Length {
		return ids, nil
	}
	t, err := c.Model("model").Tokenizer()
	if err != nil {
		return nil, err
	}
	if n := len(ids); n > a.Length {
		if c.Warn != nil {
			c.Warn(fmt.Errorf("%s: the text has %d tokens, of which %d are left out", c.ID, n, n-a.Length))
		}
		last := ids[n-1]
		ids = ids[:a.Length]
		if t.IsSpecial(last) {
			ids[a.Length-1] = last
		}
		return ids, nil
	}
	fill, ok := t.ID(a.Fill)
	if !ok {
		return nil, fmt.Errorf("fill is %q, which is no token of %s", a.Fill, c.Model("model").Dir())
	}
	return append(ids, slices.Repeat([]int32{fill}, a.Length-len(ids))...), nil
}

// textsOf is the text at a port, or the list of texts, and whether it is a list.
func textsOf(port string, v Value) (texts []string, several bool, err error) {
	if v, err = Collect(v); err != nil {
		return nil, false, err
	}
	switch v := v.(type) {
	case string:
		return []string{v}, false, nil
	case []string:
		return v, true, nil
	case []any:
		for i, x := range v {
			text, ok := x.(string)
			if !ok {
				return nil, true, fmt.Errorf("%s[%d] is %v, want a text", port, i, x)
			}
			texts = append(texts, text)
		}
		if len(texts) == 0 {
			return nil, true, fmt.Errorf("%s is a list of no texts", port)
		}
		return texts, true, nil
	}
	return nil, false, fmt.Errorf("%s is %s, want %s", port, KindOf(v), Text)
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
