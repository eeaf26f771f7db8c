package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
)

// templates are the chat templates that a model comes with.
type templates struct {
	name, source string
	withTools    string         // the one for messages with tools, "" if it is the same
	tokens       map[string]any // special tokens by name, as unk_token, that templates read
}

// toolUse is what a chat template for messages with tools is called.
const toolUse = "tool_use"

// findTemplates reads the chat templates of a model's folder or file.
func findTemplates(path string) (templates, error) {
	if IsGGUF(path) {
		return ggufTemplates(path)
	}
	t, err := configTemplates(filepath.Join(path, "tokenizer_config.json"))
	if err != nil {
		return t, err
	}
	for _, file := range []struct {
		name string
		to   *string
	}{{"chat_template.jinja", &t.source}, {filepath.Join("additional_chat_templates", toolUse+".jinja"), &t.withTools}} {
		name := filepath.Join(path, file.name)
		data, err := os.ReadFile(name)
		if err == nil {
			*file.to = string(data)
			if file.to == &t.source {
				t.name = name
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return t, checkpoint.FileError(name, err)
		}
	}
	if t.source == "" {
		return t, noTemplate(path)
	}
	return t, nil
}

func noTemplate(path string) error {
	return &ChatError{fmt.Errorf("%s has no chat template: it completes texts (pipe run pipelines/complete.cue), or takes one by --template", path)}
}

func ggufTemplates(path string) (t templates, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	const key = "tokenizer.chat_template"
	t.name = path + ": " + key
	t.source, _ = f.Value(key).(string)
	t.withTools, _ = f.Value(key + "." + toolUse).(string)
	if t.source == "" {
		return t, noTemplate(path)
	}
	return t, nil
}

// configTemplates reads a tokenizer_config.json, which may be absent: chat_template is a text, or
// [{"name": "default", "template": ...}, ...]; special tokens are texts, or {"content": ...}.
func configTemplates(name string) (t templates, err error) {
	t = templates{name: name, tokens: map[string]any{}}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, checkpoint.FileError(name, err)
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil {
		return t, &checkpoint.Error{File: name, Msg: err.Error()}
	}
	for _, key := range []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"} {
		var text string
		var added struct{ Content string }
		if json.Unmarshal(config[key], &text) != nil && json.Unmarshal(config[key], &added) == nil {
			text = added.Content
		}
		if text != "" {
			t.tokens[key] = text
		}
	}
	if json.Unmarshal(config["chat_template"], &t.source) == nil {
		return t, nil
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(config["chat_template"], &list) == nil {
		for _, one := range list {
			switch one.Name {
			case "default":
				t.source = one.Template
			case toolUse:
				t.withTools = one.Template
			}
		}
	}
	return t, nil
}
