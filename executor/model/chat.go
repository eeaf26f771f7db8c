package model

import (
	"errors"
	"fmt"
	"os"
	"time"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/jinja"
	"pipe.dev/executor/tokenizer"
)

// Chat turns messages into prompts, as the model's chat template says.
type Chat struct {
	template  *jinja.Template
	withTools *jinja.Template // for messages with tools; nil where one template serves both
	tokenizer *tokenizer.Tokenizer
	vars      map[string]any
}

// ChatError says why messages cannot become a prompt.
type ChatError struct{ Err error }

func (e *ChatError) Error() string { return e.Err.Error() }
func (e *ChatError) Unwrap() error { return e.Err }

// Chat reads the chat template: a file, or, where that is "", the one that the
// model comes with. Errors are *ChatError or those of the tokenizer.
func (m *Model) Chat(file string) (*Chat, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	var found templates
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, checkpoint.FileError(file, err)
		}
		found = templates{name: file, source: string(data)}
	} else if found, err = findTemplates(m.opt.Dir); err != nil {
		return nil, err
	}
	c := &Chat{tokenizer: t, vars: found.tokens}
	if c.template, err = jinja.Parse(found.name, found.source); err == nil && found.withTools != "" {
		c.withTools, err = jinja.Parse(found.name, found.withTools)
	}
	if err != nil {
		return nil, &ChatError{err}
	}
	if c.vars == nil {
		c.vars = map[string]any{}
	}
	if id, ok := t.BOS(); ok {
		c.vars["bos_token"], _ = t.Token(id)
	}
	if ends := t.EOS(); len(ends) > 0 {
		c.vars["eos_token"], _ = t.Token(ends[0])
	}
	return c, nil
}

// Prompt is the text of messages, [{"role": ..., "content": ...}, ...], up to
// where an answer begins, and its ids. more holds further variables of
// the template, as tools, and of jinja.Template.Chat.
func (c *Chat) Prompt(messages *jinja.List, more map[string]any) (text string, ids []int32, err error) {
	vars := map[string]any{"add_generation_prompt": more["continue_final_message"] == nil || more["continue_final_message"] == false}
	for _, m := range []map[string]any{c.vars, more} {
		for name, v := range m {
			vars[name] = v
		}
	}
	template := c.template
	if c.withTools != nil && vars["tools"] != nil {
		template = c.withTools
	}
	if text, err = template.Chat(messages, vars, time.Now()); err != nil {
		return "", nil, &ChatError{err}
	}
	ids, err = c.tokenizer.Encode(nil, text, false)
	return text, ids, err
}

const wantMessages = `want [{"role": "user", "content": "..."}, ...], or an object with such "messages"`

// Messages reads messages from JSON: the list of them, or an object with the list as
// "messages" and further variables of the template, as "tools".
func Messages(data []byte) (messages *jinja.List, more map[string]any, err error) {
	v, err := jinja.Value(data)
	if err != nil {
		return nil, nil, &ChatError{fmt.Errorf("messages: not JSON, %w; %s", err, wantMessages)}
	}
	if d, ok := v.(*jinja.Dict); ok {
		more = map[string]any{}
		for _, name := range d.Keys() {
			x, _ := d.Get(name)
			if name == "messages" {
				v = x
			} else {
				more[name] = x
			}
		}
	}
	messages, ok := v.(*jinja.List)
	if !ok || messages.Len() == 0 {
		return nil, nil, &ChatError{errors.New("messages: " + wantMessages)}
	}
	for i := range messages.Len() {
		m, ok := messages.At(i).(*jinja.Dict)
		if ok {
			_, ok = m.Get("role")
		}
		if !ok {
			return nil, nil, &ChatError{fmt.Errorf("messages: message %d has no role", i)}
		}
	}
	return messages, more, nil
}

// Message is one message.
func Message(role, content string) *jinja.Dict {
	d := jinja.NewDict()
	d.Set("role", role)
	d.Set("content", content)
	return d
}
