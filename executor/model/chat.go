package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/jinja"
	"pipe.dev/executor/tokenizer"
)

// Chat turns messages into prompts, as the model's chat template says.
type Chat struct {
	template  *jinja.Template
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
	name, source := file, ""
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, checkpoint.FileError(file, err)
		}
		source = string(data)
	} else if name, source, err = findTemplate(m.opt.Dir); err != nil {
		return nil, err
	}
	template, err := jinja.Parse(name, source)
	if err != nil {
		return nil, &ChatError{err}
	}
	c := &Chat{template: template, tokenizer: t, vars: map[string]any{}}
	if id, ok := t.BOS(); ok {
		c.vars["bos_token"], _ = t.Token(id)
	}
	if ends := t.EOS(); len(ends) > 0 {
		c.vars["eos_token"], _ = t.Token(ends[0])
	}
	return c, nil
}

// findTemplate reads the chat template of a model's folder or file.
func findTemplate(path string) (name, source string, err error) {
	none := &ChatError{fmt.Errorf("%s has no chat template: it completes texts (pipe run pipelines/complete.cue), or takes one by --template", path)}
	if IsGGUF(path) {
		f, err := gguf.Open(path)
		if err != nil {
			return "", "", err
		}
		defer f.Close()
		if s, ok := f.Value("tokenizer.chat_template").(string); ok && s != "" {
			return path + ": tokenizer.chat_template", s, nil
		}
		return "", "", none
	}
	name = filepath.Join(path, "chat_template.jinja")
	data, err := os.ReadFile(name)
	if err == nil {
		return name, string(data), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", "", checkpoint.FileError(name, err)
	}
	name = filepath.Join(path, "tokenizer_config.json")
	data, err = os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", none
	}
	if err != nil {
		return "", "", checkpoint.FileError(name, err)
	}
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", "", &checkpoint.Error{File: name, Msg: err.Error()}
	}
	if json.Unmarshal(config.Template, &source) == nil && source != "" {
		return name, source, nil
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(config.Template, &list) == nil {
		for _, t := range list {
			if t.Name == "default" {
				return name, t.Template, nil
			}
		}
	}
	return "", "", none
}

// Prompt is the text of messages, [{"role": ..., "content": ...}, ...], up to
// where an answer begins, and its ids. more holds further variables of
// the template, as tools.
func (c *Chat) Prompt(messages *jinja.List, more map[string]any) (text string, ids []int32, err error) {
	vars := map[string]any{"messages": messages, "add_generation_prompt": true}
	for _, m := range []map[string]any{c.vars, more} {
		for name, v := range m {
			vars[name] = v
		}
	}
	if text, _, err = c.template.Render(vars, time.Now()); err != nil {
		return "", nil, &ChatError{err}
	}
	ids, err = c.tokenizer.Encode(nil, text, false)
	return text, ids, err
}

// Messages reads messages from JSON: the list of them, or an object with the list as
// "messages" and further variables of the template, as "tools".
func Messages(data []byte) (messages *jinja.List, more map[string]any, err error) {
	v, err := jinja.Value(data)
	if err != nil {
		return nil, nil, &ChatError{fmt.Errorf("messages: %w", err)}
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
		return nil, nil, &ChatError{errors.New(`messages: want [{"role": "user", "content": "..."}, ...], or an object with such "messages"`)}
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
