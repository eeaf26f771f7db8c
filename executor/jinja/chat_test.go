package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const known = "../../testdata/golden/chat/known"

// conversations are what the templates of well-known models are tried with.
func conversations(t *testing.T) (list map[string]map[string]any, now time.Time) {
	data, err := os.ReadFile(filepath.Join(known, "conversations.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Now           string
		Conversations map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if now, err = time.Parse("2006-01-02T15:04:05", file.Now); err != nil {
		t.Fatal(err)
	}
	list = map[string]map[string]any{}
	for name, given := range file.Conversations {
		vars := map[string]any{"bos_token": "<s>", "eos_token": "</s>"}
		for k, raw := range given {
			if vars[k], err = Value(raw); err != nil {
				t.Fatal(err)
			}
		}
		list[name] = vars
	}
	return list, now
}

// The templates of well-known models give byte for byte what transformers gives,
// refuse what it refuses with the same words, and fail where it fails.
func TestKnown(t *testing.T) {
	list, now := conversations(t)
	files, err := filepath.Glob(filepath.Join(known, "*.jinja"))
	if err != nil || len(files) < 40 || len(list) < 25 {
		t.Fatalf("%d templates, %d conversations, %v", len(files), len(list), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jinja")
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(known, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Texts, Refused map[string]string
				Wrong          []string
			}
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if n := len(want.Texts) + len(want.Refused) + len(want.Wrong); n != len(list) || len(want.Texts) < 5 {
				t.Errorf("%d cases, %d texts, of %d conversations", n, len(want.Texts), len(list))
			}
			tmpl, err := Parse(name, string(source))
			if err != nil {
				t.Fatal(err)
			}
			for conversation, vars := range list {
				messages, before := vars["messages"].(*List), repr(vars["messages"])
				got, err := tmpl.Chat(messages, vars, now)
				var refused *Refused
				text, renders := want.Texts[conversation]
				why, refuses := want.Refused[conversation]
				switch {
				case renders && (err != nil || got != text):
					t.Errorf("%s: %v\n got %q\nwant %q", conversation, err, got, text)
				case refuses && (!errors.As(err, &refused) || refused.Msg != why):
					t.Errorf("%s: %q, %v, want the refusal %q", conversation, got, err, why)
				case slices.Contains(want.Wrong, conversation) && err == nil:
					t.Errorf("%s: %q, want an error", conversation, got)
				}
				if repr(messages) != before {
					t.Errorf("%s: the messages changed", conversation)
				}
			}
		})
	}
}
