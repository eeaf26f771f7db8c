package stage

import (
	"context"
	"fmt"
	"math"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tokenizer"
)

// PromptAttr describes how prompts of pictures become tokens.
type PromptAttr struct {
	Length  int    `cue:"length: int & >2 | *77" doc:"tokens of a part, with the one that begins it and the one that ends it"`
	Begin   string `cue:"begin: string | *\"<|startoftext|>\"" doc:"the token that begins a part; none if empty"`
	End     string `cue:"end: string | *\"<|endoftext|>\"" doc:"the token that ends it"`
	Fill    string `cue:"fill: string | *\"<|endoftext|>\"" doc:"the token that fills what is left"`
	Weights bool   `cue:"weights: bool | *true" doc:"brackets weigh words, and long texts go on in further parts; else brackets are text, and what is beyond the first part is left out, which is told"`
}

func prompt() *Def {
	return &Def{
		Name: "prompt", Title: "Prompt", Result: Tensors, Early: true,
		Doc: "turns a text into tokens for encoders of a fixed length, ids [parts, length], and how much each counts, weights [parts, length]. (word) counts 1.1 times, [word] 1/1.1, (word:1.3) as much as it says; brackets may stand in one another, \\\\( and \\\\[ are text, and BREAK begins a new part.",
		Ports: []Port{
			{Name: "x", Doc: "the text", Kinds: []Kind{Text}},
			{Name: "beside", Doc: "a text with at least as many parts as which this one gets", Kinds: []Kind{Text}, Optional: true},
			{Name: "model", Doc: "the model whose tokenizer it is", Kinds: []Kind{Model}},
		},
		Attr: PromptAttr{},
		Prepare: func(c *Call) error {
			_, err := c.Model("model").Tokenizer()
			return err
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			p, err := newCutter(c)
			if err != nil {
				return nil, err
			}
			parts, err := p.of(c.In["x"], c.Warn)
			if err != nil {
				return nil, err
			}
			if other, ok := c.In["beside"]; ok {
				list, err := p.of(other, nil)
				if err != nil {
					return nil, err
				}
				for len(parts) < len(list) {
					parts = append(parts, nil)
				}
			}
			return p.tensors(parts), nil
		},
	}
}

// weighted is a token and how much it counts.
type weighted struct {
	id     int32
	weight float64
}

// cutter cuts prompts into parts.
type cutter struct {
	attr             PromptAttr
	call             *Call
	tokenizer        *tokenizer.Tokenizer
	begin, end, fill int32
	comma            int32 // -1 if there is no such token
}

func newCutter(c *Call) (*cutter, error) {
	t, err := c.Model("model").Tokenizer()
	if err != nil {
		return nil, err
	}
	p := &cutter{attr: c.Attr.(PromptAttr), call: c, tokenizer: t, comma: -1}
	for _, x := range []struct {
		field, token string
		to           *int32
	}{{"begin", p.attr.Begin, &p.begin}, {"end", p.attr.End, &p.end}, {"fill", p.attr.Fill, &p.fill}} {
		if x.field == "begin" && x.token == "" {
			continue
		}
		id, ok := t.ID(x.token)
		if !ok {
			return nil, fmt.Errorf("%s is %q, which is no token of %s", x.field, x.token, c.Model("model").Dir())
		}
		*x.to = id
	}
	if id, ok := t.ID(",</w>"); ok {
		p.comma = id
	}
	return p, nil
}

// of cuts a prompt into parts, at least one.
func (p *cutter) of(v Value, warn func(error)) ([][]weighted, error) {
	texts, _, err := textsOf("x", v)
	if err != nil {
		return nil, err
	}
	if !p.attr.Weights {
		return p.first(texts[0], warn)
	}
	list := [][]weighted{nil}
	for _, piece := range weigh(texts[0]) {
		if piece.stop {
			list = append(list, nil)
			continue
		}
		ids, err := p.encode(piece.text, warn)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			list = p.add(list, weighted{id, piece.weight})
		}
	}
	if n := len(list) - 1; n > 0 && len(list[n]) == 0 {
		list = list[:n]
	}
	return list, nil
}

// encode is a text as tokens; what no token stands for is told.
func (p *cutter) encode(text string, warn func(error)) ([]int32, error) {
	if lost := p.tokenizer.Lost(text); len(lost) > 0 && warn != nil {
		warn(fmt.Errorf("%s: the tokenizer of %s has no token for %s: left out of the text", p.call.ID, p.call.Model("model").Dir(), quoted(lost)))
	}
	return p.tokenizer.Encode(nil, text, false)
}

// first is a text without weights, cut off.
func (p *cutter) first(text string, warn func(error)) ([][]weighted, error) {
	ids, err := p.encode(text, warn)
	if err != nil {
		return nil, err
	}
	if n, room := len(ids), p.room(); n > room {
		if warn != nil {
			warn(fmt.Errorf("%s: the text has %d tokens, of which %d are left out", p.call.ID, n, n-room))
		}
		ids = ids[:room]
	}
	var part []weighted
	for _, id := range ids {
		part = append(part, weighted{id, 1})
	}
	return [][]weighted{part}, nil
}

// room is how many tokens of a text a part holds.
func (p *cutter) room() int {
	if p.attr.Begin == "" {
		return p.attr.Length - 1
	}
	return p.attr.Length - 2
}

// wrap is how far back a part may end at a comma, in tokens.
const wrap = 20

// add puts a token behind the others. What follows the last comma of a full part
// goes into the next one, if it is short.
func (p *cutter) add(list [][]weighted, w weighted) [][]weighted {
	last := len(list) - 1
	if len(list[last]) < p.room() {
		list[last] = append(list[last], w)
		return list
	}
	part, from := list[last], len(list[last])
	for i := len(part) - 1; w.id != p.comma && i >= max(len(part)-wrap, 1); i-- {
		if part[i].id == p.comma {
			from = i + 1
			break
		}
	}
	list[last] = part[:from:from]
	return append(list, append(append([]weighted{}, part[from:]...), w))
}

// tensors are ids and weights.
func (p *cutter) tensors(list [][]weighted) []tensorfile.Tensor {
	n := p.attr.Length
	var ids []int32
	var weights []float32
	for _, part := range list {
		var row []weighted
		if p.attr.Begin != "" {
			row = []weighted{{p.begin, 1}}
		}
		row = append(append(row, part...), weighted{p.end, 1})
		for len(row) < n {
			row = append(row, weighted{p.fill, 1})
		}
		for _, w := range row {
			ids, weights = append(ids, w.id), append(weights, float32(w.weight))
		}
	}
	return []tensorfile.Tensor{tensorfile.FromInt32s("ids", ids, len(list), n), tensorfile.FromFloat32s("weights", weights, len(list), n)}
}

// finite bounds what a text may say of a weight.
func finite(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= 1e6 }
