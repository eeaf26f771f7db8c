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
	NumBeams          int      `cue:"num_beams: int & >0 & <=64 | *1" doc:"above 1 searches for a likely text: so many are continued at once; temperature must be 0"`
	LengthPenalty     float64  `cue:"length_penalty: number | *1" doc:"of a search: the logarithm of a text's probability is divided by its length to this power; above 0 favours longer texts"`
	EarlyStopping     string   `cue:"early_stopping: *\"no\" | \"yes\" | \"never\"" doc:"of a search: once as many texts ended as there are beams it is over if none that goes on is better now (no), at once (yes), or if none can become better (never)"`
	Batch             int      `cue:"batch: int & >0 & <=256 | *8" doc:"of several texts, how many are continued at once; each gives what it gives alone"`
}

func generate() *Def {
	return &Def{
		Name: "generate", Title: "Generate", Result: IDs, Lazy: always,
		Doc: "continues ids by sampling one token after the other, with a key/value cache, or by beam search; ids of several texts at once. A model with an encoder makes text of the ids.",
		Ports: []Port{
			{Name: "x", Doc: "the ids to continue, or to make text of", Kinds: []Kind{IDs}},
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
	m, a := c.Model("model"), c.Attr.(GenerateAttr)
	if a.NumBeams > 1 {
		return prepareSearch(c)
	}
	rows, ok := c.In["x"].([][]int32)
	if !ok || m.Start() != nil {
		return m.Text()
	}
	lengths := make([]int, len(rows))
	for i, ids := range rows {
		lengths[i] = len(ids)
	}
	return m.Batch(lengths, a.MaxTokens, a.Batch)
}

// prepareSearch asks for what beam search needs, of texts as long as the longest.
func prepareSearch(c *Call) error {
	m, a := c.Model("model"), c.Attr.(GenerateAttr)
	if a.Temperature > 0 {
		return fmt.Errorf("num_beams is %d, which takes the likeliest texts, and temperature is %v, which draws: set temperature to 0", a.NumBeams, a.Temperature)
	}
	longest := len(m.Start())
	if longest == 0 {
		switch x := c.In["x"].(type) {
		case []int32:
			longest = len(x)
		case [][]int32:
			for _, ids := range x {
				longest = max(longest, len(ids))
			}
		}
	}
	if longest > 0 {
		longest += a.MaxTokens
	}
	return m.Beams(a.NumBeams, longest)
}

func runGenerate(ctx context.Context, c *Call) (Value, error) {
	m, a := c.Model("model"), c.Attr.(GenerateAttr)
	x, err := Collect(c.In["x"])
	if err != nil {
		return nil, err
	}
	if rows, ok := x.([][]int32); ok && (a.NumBeams > 1 || m.Start() != nil) {
		return oneByOne(ctx, m, a, rows)
	}
	switch x := x.(type) {
	case []int32:
		return generateOne(ctx, m, a, x)
	case [][]int32:
		return generateBatch(ctx, m, a, x)
	}
	return nil, errKind(x, IDs)
}

// generateOne makes one text.
func generateOne(ctx context.Context, m *model.Model, a GenerateAttr, ids []int32) (Tokens, error) {
	r, err := request(m, a, ids)
	if err != nil {
		return nil, err
	}
	if a.NumBeams > 1 {
		s, err := m.Search(decode.BeamOptions{Beams: a.NumBeams, LengthPenalty: a.LengthPenalty, Stop: decode.BeamStop(a.EarlyStopping)})
		if err != nil {
			return nil, err
		}
		return Tokens(s.Text(ctx, r)), nil
	}
	g, err := m.Generator()
	if err != nil {
		return nil, err
	}
	return Tokens(g.Text(ctx, r)), nil
}

// oneByOne makes several texts, one after the other.
func oneByOne(ctx context.Context, m *model.Model, a GenerateAttr, rows [][]int32) (Value, error) {
	out := make([]decode.Made, len(rows))
	for i, ids := range rows {
		tokens, err := generateOne(ctx, m, a, ids)
		if err != nil {
			return nil, err
		}
		for p, err := range tokens {
			if err != nil {
				return nil, fmt.Errorf("text %d: %w", i+1, err)
			}
			if out[i].Text += p.Text; p.ID != decode.NoToken {
				out[i].IDs = append(out[i].IDs, p.ID)
			}
		}
	}
	return out, nil
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
	if start := m.Start(); start != nil {
		r.Source, r.Prompt = prompt, start
	}
	if !a.IgnoreEOS {
		r.End = t.EOS()
	}
	return r, nil
}

func errKind(v Value, want Kind) error { return fmt.Errorf("x is %s, want %s", KindOf(v), want) }
