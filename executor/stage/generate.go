package stage

import (
	"context"
	"fmt"

	"pipe.dev/executor/decode"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
)

// GenerateAttr describes how a text is continued.
type GenerateAttr struct {
	MaxTokens         int      `cue:"max_tokens: int & >0 | *128" doc:"how many tokens to make at most"`
	Temperature       float64  `cue:"temperature: number & >=0 | *0.8" doc:"0 takes the likeliest token; more is more varied"`
	TopK              int      `cue:"top_k: int & >=0 | *0" doc:"choose among this many likeliest tokens; 0 means all"`
	TopP              float64  `cue:"top_p: number & >0 & <=1 | *1" doc:"choose among the likeliest tokens that have this probability together"`
	MinP              float64  `cue:"min_p: number & >=0 & <1 | *0" doc:"leave out tokens less likely than this share of the likeliest"`
	RepetitionPenalty float64  `cue:"repetition_penalty: number & >0 | *1" doc:"above 1 makes tokens that occurred less likely"`
	Seed              int      `cue:"seed: int & >=0 | *0" doc:"the same seed gives the same text"`
	Stop              []string `cue:"stop: [...string & !=\"\"] | *[]" doc:"strings that end the text and are no part of it"`
	IgnoreEOS         bool     `cue:"ignore_eos: bool | *false" doc:"go on after the token that ends a text"`
	Special           bool     `cue:"special: bool | *false" doc:"keep special tokens in the text"`
	Batch             int      `cue:"batch: int & >0 & <=256 | *8" doc:"of several texts, how many are continued at once; each gives what it gives alone"`
}

func generate() *Def {
	return &Def{
		Name: "generate", Title: "Generate", Result: IDs,
		Doc: "continues ids by sampling one token after the other, with a key/value cache; ids of several texts at once.",
		Ports: []Port{
			{Name: "x", Doc: "the ids to continue", Kinds: []Kind{IDs}},
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
		},
		Attr:    GenerateAttr{},
		Prepare: prepareGenerate,
		Run:     runGenerate,
	}
}

// prepareGenerate asks for what continuing one text needs, or as many as there
// are, if that is known.
func prepareGenerate(c *Call) error {
	rows, ok := c.In["x"].([][]int32)
	if !ok {
		return c.Model("model").Text()
	}
	a := c.Attr.(GenerateAttr)
	lengths := make([]int, len(rows))
	for i, ids := range rows {
		lengths[i] = len(ids)
	}
	return c.Model("model").Batch(lengths, a.MaxTokens, a.Batch)
}

func runGenerate(ctx context.Context, c *Call) (Value, error) {
	m := c.Model("model")
	x, err := Collect(c.In["x"])
	if err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case []int32:
		g, err := m.Generator()
		if err != nil {
			return nil, err
		}
		r, err := request(m, c.Attr.(GenerateAttr), x)
		if err != nil {
			return nil, err
		}
		return Tokens(g.Text(ctx, r)), nil
	case [][]int32:
		return generateBatch(ctx, m, c.Attr.(GenerateAttr), x)
	}
	return nil, errKind(x, IDs)
}

// generateBatch continues several texts at once.
func generateBatch(ctx context.Context, m *model.Model, a GenerateAttr, prompts [][]int32) (Value, error) {
	b := m.BatchOf()
	if b == nil {
		return nil, fmt.Errorf("the prompts are not known before the run: tokenize texts that are inputs")
	}
	list := make([]decode.Request, len(prompts))
	for i, ids := range prompts {
		var err error
		if list[i], err = request(m, a, ids); err != nil {
			return nil, err
		}
	}
	return b.Texts(ctx, list, nil)
}

// request is one text to be made.
func request(m *model.Model, a GenerateAttr, prompt []int32) (decode.Request, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return decode.Request{}, err
	}
	r := decode.Request{
		Prompt: prompt, MaxTokens: a.MaxTokens, Stop: a.Stop, Decoder: t.Stream(!a.Special),
		Sampler: sampler.Options{Temperature: a.Temperature, TopK: a.TopK, TopP: a.TopP, MinP: a.MinP,
			RepetitionPenalty: a.RepetitionPenalty, Seed: uint64(a.Seed)},
	}
	if !a.IgnoreEOS {
		r.End = t.EOS()
	}
	return r, nil
}

func errKind(v Value, want Kind) error { return fmt.Errorf("x is %s, want %s", KindOf(v), want) }
