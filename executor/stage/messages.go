package stage

import (
	"context"

	"pipe.dev/executor/model"
)

// MessagesAttr says which chat template makes a prompt of messages.
type MessagesAttr struct {
	Template string `cue:"template: string | *\"\"" doc:"a file with the chat template; the model's own if empty"`
}

func messages() *Def {
	return &Def{
		Name: "messages", Title: "Messages", Result: IDs, Words: true,
		Doc: "turns messages into the ids of a prompt, by the model's chat template.",
		Ports: []Port{
			{Name: "x", Doc: "JSON: [{\"role\": \"user\", \"content\": \"...\"}, ...], or an object with such \"messages\" and what else the template reads, as \"tools\"", Kinds: []Kind{Text}},
			{Name: "model", Doc: "the model whose template and tokenizer it is", Kinds: []Kind{Model}},
		},
		Attr: MessagesAttr{},
		Prepare: func(c *Call) error {
			_, err := c.Model("model").Chat(c.Attr.(MessagesAttr).Template)
			return err
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			chat, err := c.Model("model").Chat(c.Attr.(MessagesAttr).Template)
			if err != nil {
				return nil, err
			}
			text, err := Collect(c.In["x"])
			if err != nil {
				return nil, err
			}
			list, more, err := model.Messages([]byte(text.(string)))
			if err != nil {
				return nil, err
			}
			_, ids, err := chat.Prompt(list, more)
			return ids, err
		},
	}
}
