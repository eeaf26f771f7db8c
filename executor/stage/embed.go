package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/executor/model"
	"pipe.dev/executor/tokenizer"
)

// EmbedAttr describes how texts become vectors.
type EmbedAttr struct {
	Pooling    string `cue:"pooling: \"mean\" | \"cls\" | \"max\" | \"last\" | \"mean_sqrt_len\" | \"weightedmean\" | *\"\"" doc:"how the vectors of tokens become one; as the model's folder says if \"\""`
	Normalize  string `cue:"normalize: \"yes\" | \"no\" | *\"\"" doc:"whether vectors get the length 1; as the model's folder says if \"\""`
	Prompt     string `cue:"prompt: string | *\"\"" doc:"what is put before each text"`
	PromptName string `cue:"prompt_name: string | *\"\"" doc:"or the name of one that the model's folder holds; that which the folder says if \"\""`
	MaxTokens  int    `cue:"max_tokens: int & >=0 | *0" doc:"tokens that a text may have, the rest is cut off; 0 means as many as the model's folder says"`
	Positions  int    `cue:"positions: int & >0 & <=1048576 | *2048" doc:"of a batch of texts, at most; more takes more memory"`
}

func embed() *Def {
	return &Def{
		Name: "embed", Title: "Embed", Result: Tensor,
		Doc: "turns texts into vectors [texts, width] by an encoder, as sentence-transformers does; texts of about one length share a call.",
		Ports: []Port{
			{Name: "x", Doc: "the text, or a list of texts", Kinds: []Kind{Text, List}},
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
		},
		Attr: EmbedAttr{},
		Prepare: func(c *Call) error {
			if c.In["x"] == nil {
				return &UnknownError{"the texts are not known before the run: they must be an input"}
			}
			e, err := embedder(c)
			c.kept = e
			return err
		},
		Run: func(ctx context.Context, c *Call) (Value, error) { return c.kept.(*model.Embedder).Vectors(ctx) },
	}
}

// embedder is the model's, with what a document says otherwise.
func embedder(c *Call) (*model.Embedder, error) {
	m, a := c.Model("model"), c.Attr.(EmbedAttr)
	s, err := m.Sentence()
	if err != nil {
		return nil, err
	}
	if a.Pooling != "" {
		s.Pooling = []string{a.Pooling}
	}
	if a.Normalize != "" {
		s.Normalize = a.Normalize == "yes"
	}
	prompt := a.Prompt
	if name := a.PromptName; name != "" || prompt == "" && s.Prompt != "" {
		if name == "" {
			name = s.Prompt
		}
		var ok bool
		if prompt, ok = s.Prompts[name]; !ok {
			return nil, fmt.Errorf("prompt_name: the model's folder has no prompt %q; it has %v", name, slices.Sorted(maps.Keys(s.Prompts)))
		}
	}
	texts, _, err := textsOf("x", c.In["x"])
	if err != nil {
		return nil, err
	}
	limit := s.Tokens
	if trained := m.Trained(); limit == 0 || trained > 0 && trained < limit {
		limit = trained
	}
	if a.MaxTokens > 0 {
		if limit > 0 && a.MaxTokens > max(limit, m.Trained()) {
			return nil, fmt.Errorf("max_tokens: %d is more than the %d positions of the model", a.MaxTokens, m.Trained())
		}
		limit = a.MaxTokens
	}
	rows := make([][]int32, len(texts))
	for i, text := range texts {
		if text = prompt + text; s.Lower {
			text = strings.ToLower(text)
		}
		if rows[i], err = cutTo(m, text, limit); err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
	}
	return m.Embedder(*s, rows, a.Positions)
}

// cutTo is a text as ids, at most so many; 0 means all. What the tokenizer puts
// around a text stays.
func cutTo(m *model.Model, text string, limit int) ([]int32, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	ids, err := t.Encode(nil, text, true)
	if err != nil || limit == 0 || len(ids) <= limit {
		return ids, err
	}
	e, err := t.EncodeFull(text, tokenizer.EncodeOptions{Special: true, Limit: limit})
	if err != nil {
		return nil, err
	}
	return e.IDs, nil
}
