package data

import "strings"

// Layout writes conversations as text. A model's chat template is one.
type Layout interface {
	// Name tells layouts apart, in documents and in the keys of token files.
	Name() string
	// Render gives the segments of a conversation. What the assistant says is trained, with the token that ends it.
	Render(turns []Turn) ([]Segment, error)
}

// layouts is the table of the layouts that need no chat template.
var layouts = []Layout{headings{}, chatML{}}

// headings is plain text that any vocabulary can spell: each turn is
//
//	### User:\n{content}\n\n
//
// with its role, and the assistant's content is trained, with the end token after it.
type headings struct{}

func (headings) Name() string { return "headings" }

func (headings) Render(turns []Turn) ([]Segment, error) {
	var out []Segment
	var prompt strings.Builder
	for i, t := range turns {
		prompt.WriteString("### " + strings.ToUpper(t.Role[:1]) + t.Role[1:] + ":\n")
		if t.Role != "assistant" {
			prompt.WriteString(t.Content + "\n\n")
			continue
		}
		out = append(out, Segment{Text: prompt.String()}, Segment{Text: t.Content, Train: true, End: true})
		prompt.Reset()
		if i+1 < len(turns) {
			prompt.WriteString("\n\n")
		}
	}
	if prompt.Len() > 0 {
		out = append(out, Segment{Text: prompt.String()})
	}
	return out, nil
}

// chatML is for vocabularies with the tokens <|im_start|> and <|im_end|>: each turn is
//
//	<|im_start|>user\n{content}<|im_end|>\n
//
// with its role, and the assistant's content is trained, with the <|im_end|> after it. The end token follows the whole.
type chatML struct{}

func (chatML) Name() string { return "chatml" }

func (chatML) Render(turns []Turn) ([]Segment, error) {
	var out []Segment
	var prompt strings.Builder
	for _, t := range turns {
		prompt.WriteString("<|im_start|>" + t.Role + "\n")
		if t.Role != "assistant" {
			prompt.WriteString(t.Content + "<|im_end|>\n")
			continue
		}
		out = append(out, Segment{Text: prompt.String()}, Segment{Text: t.Content + "<|im_end|>", Train: true})
		prompt.Reset()
		prompt.WriteString("\n")
	}
	return append(out, Segment{Text: prompt.String()}), nil
}
