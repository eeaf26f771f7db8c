package data

import (
	"fmt"
	"maps"
	"slices"
)

// Turn is one message of a conversation.
type Turn struct {
	Role    string // system, user, assistant or tool
	Content string
}

// speakers gives the roles of the names in ShareGPT files.
var speakers = map[string]string{
	"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
	"model": "assistant", "tool": "tool", "function": "tool", "observation": "tool",
}

var roles = map[string]string{"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

func renderShareGPT(r *record) ([][]Segment, error) {
	return conversation(r, "conversations", "from", "value", speakers)
}

func renderMessages(r *record) ([][]Segment, error) {
	return conversation(r, "messages", "role", "content", roles)
}

func conversation(r *record, list, role, content string, known map[string]string) ([][]Segment, error) {
	v, name, ok := r.value(list)
	if !ok {
		return nil, missing(name, r.row.Values)
	}
	turns, ok := v.([]any)
	if !ok {
		return nil, faultf(name, "is %s, want a list", kindOf(v))
	}
	var out []Turn
	answers := 0
	for i, v := range turns {
		at := fmt.Sprintf("%s[%d]", name, i)
		m, ok := v.(map[string]any)
		if !ok {
			return nil, faultf(at, "is %s, want an object", kindOf(v))
		}
		who, err := member(m, at, role)
		if err != nil {
			return nil, err
		}
		said, err := member(m, at, content)
		if err != nil {
			return nil, err
		}
		t := Turn{Role: known[who], Content: said}
		if t.Role == "" {
			names := slices.Sorted(maps.Keys(known))
			return nil, faultf(at+"."+role, "is %.40q, want one of %v%s", who, names, hint(who, names))
		}
		if t.Role == "assistant" {
			answers++
		}
		out = append(out, t)
	}
	if answers == 0 {
		return nil, faultf(name, "none of %d turns is the assistant's, so that nothing would be trained", len(turns))
	}
	segments, err := r.layout.Render(out)
	if err != nil {
		return nil, faultf(name, "%v", err)
	}
	return [][]Segment{segments}, nil
}

func member(m map[string]any, at, field string) (string, error) {
	v, ok := m[field]
	if !ok || v == nil {
		e := missing(field, m).(*fieldError)
		return "", faultf(at+"."+e.field, "%s", e.msg)
	}
	s, ok := v.(string)
	if !ok {
		return "", faultf(at+"."+field, "is %s, want a string", kindOf(v))
	}
	return s, nil
}
