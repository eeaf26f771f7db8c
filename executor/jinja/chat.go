package jinja

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Chat renders messages as apply_chat_template of transformers does, which is more
// than to render a template: keys of messages whose value is null are left out,
// what was thought goes by each of its names, and tools and documents are none
// where there are none. The messages are not changed.
//
// continue_final_message among vars, true or the name of a field, asks for a text that ends
// within the last message, so that a model goes on with it.
//
// Errors are those of Render, and *Refused where the last message cannot be continued.
func (t *Template) Chat(messages *List, vars map[string]any, now time.Time) (string, error) {
	all := map[string]any{"tools": nil, "documents": nil, "add_generation_prompt": false}
	for name, v := range vars {
		all[name] = v
	}
	field := ""
	switch v := all["continue_final_message"].(type) {
	case bool:
		field = map[bool]string{true: "content"}[v]
	case string:
		field = v
	}
	delete(all, "continue_final_message")
	chat, last := NewList(), ""
	for _, v := range messages.items {
		m, ok := v.(*Dict)
		if !ok {
			return "", &Refused{"a message is " + kind(v) + ", want a dictionary"}
		}
		chat.Append(thought(m))
	}
	if field != "" {
		if truth(all["add_generation_prompt"]) {
			return "", &Refused{"continue_final_message goes on with the last message, add_generation_prompt begins a new one: only one of them can be"}
		}
		var err error
		if last, err = marked(chat, field); err != nil {
			return "", err
		}
	}
	all["messages"] = chat
	text, _, err := t.Render(all, now)
	if err != nil || field == "" {
		return text, err
	}
	return cut(text, last)
}

// thoughtNames are the fields that hold what was thought before an answer; the
// first is the one that most templates read.
var thoughtNames = []string{"reasoning_content", "thinking", "reasoning"}

// thought is a message without nulls, with what was thought by its usual names.
func thought(m *Dict) *Dict {
	var found any
	for _, name := range thoughtNames {
		if v, ok := m.Get(name); ok && v != nil {
			found = v
			break
		}
	}
	out := NewDict()
	if found != nil {
		out.Set(thoughtNames[1], found)
	}
	for _, k := range m.keys {
		if v := m.values[k]; v != nil {
			out.Set(k, v)
		}
	}
	if found != nil {
		out.Set(thoughtNames[0], found)
	}
	return out
}

// endMark stands where the last message ends; the blank tells whether the
// template trims.
const endMark = "CONTINUE_FINAL_MESSAGE_TAG "

// marked adds endMark to a field of the last message, and gives what the field was.
func marked(chat *List, field string) (string, error) {
	none := &Refused{"continue_final_message: the last message has no text as " + quote(field)}
	if len(chat.items) == 0 {
		return "", &Refused{"continue_final_message: there is no message"}
	}
	m := chat.items[len(chat.items)-1].(*Dict)
	switch v := m.values[field].(type) {
	case string:
		for _, name := range sameThought(m, field, v) {
			m.Set(name, v+endMark)
		}
		return v, nil
	case *List:
		parts := NewList(slices.Clone(v.items)...)
		m.Set(field, parts)
		for i := len(parts.items) - 1; i >= 0; i-- {
			part, ok := parts.items[i].(*Dict)
			if !ok {
				continue
			}
			if s, ok := part.values["text"].(string); ok {
				one := NewDict()
				for _, k := range part.keys {
					one.Set(k, part.values[k])
				}
				one.Set("text", s+endMark)
				parts.items[i] = one
				return s, nil
			}
		}
	}
	return "", none
}

// sameThought are the fields that hold the same thought as field does: field
// alone if it holds none.
func sameThought(m *Dict, field, text string) []string {
	names := []string{field}
	for _, name := range thoughtNames {
		if name == field {
			names = nil
		}
	}
	if names != nil {
		return names
	}
	for _, name := range thoughtNames {
		if m.values[name] == any(text) {
			names = append(names, name)
		}
	}
	return names
}

// cut is the text up to endMark, of a last message that was last.
func cut(text, last string) (string, error) {
	at := strings.LastIndex(text, strings.TrimSpace(endMark))
	if at < 0 || !strings.Contains(text, strings.TrimFunc(last, unicode.IsSpace)) {
		return "", &Refused{"continue_final_message: the template leaves out or changes the last message"}
	}
	if strings.HasPrefix(text[at:], endMark) {
		return text[:at], nil
	}
	return strings.TrimRight(text[:at], blanks), nil
}
