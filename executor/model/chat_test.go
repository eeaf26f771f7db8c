package model

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/jinja"
)

// A prompt that begins as the sequence before does has the logits that it has
// from scratch, bit for bit, and nothing that they share is computed again.
func TestResume(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"llama", "mistral", "gemma3", "deepseek_v3"} {
		m, _ := open(t, "../../testdata/golden/arch/"+name, 2, "")
		generator(t, m, 1, 8)
		g, err := m.Generator()
		if err != nil {
			t.Fatal(err)
		}
		prompt := []int32{3, 7, 20, 11, 5, 5, 40, 9, 31, 6, 2, 17, 8, 50, 33}
		if err := g.Start(ctx, prompt, 0); err != nil {
			t.Fatal(err)
		}
		want := bitsOf(g.Logits())
		for _, before := range [][]int32{prompt[:9], append(slices.Clone(prompt[:11]), 60, 61, 62), {60, 61}, prompt} {
			if err := g.Start(ctx, before, 0); err != nil {
				t.Fatal(err)
			}
			if err := g.Resume(ctx, prompt, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(bitsOf(g.Logits()), want) {
				t.Errorf("%s: after %v the logits have other bits", name, before)
			}
			if g.Past() != len(prompt) {
				t.Errorf("%s: %d positions, want %d", name, g.Past(), len(prompt))
			}
		}
		stopped, stop := context.WithCancel(ctx) // an interrupted call leaves nothing wrong behind
		stop()
		if err := g.Resume(stopped, append(slices.Clone(prompt[:4]), 1, 2, 3, 4, 5), 0); err == nil {
			t.Error("an interrupted call gives no error")
		}
		if err := g.Resume(ctx, prompt, 0); err != nil || !slices.Equal(bitsOf(g.Logits()), want) {
			t.Errorf("%s: after an interrupt the logits have other bits, %v", name, err)
		}
	}
}

// The template of a folder is found wherever transformers puts it.
func TestFindTemplate(t *testing.T) {
	for _, c := range []struct{ file, text, want, tools string }{
		{"chat_template.jinja", "a{{ 1 }}", "a{{ 1 }}", ""},
		{"tokenizer_config.json", `{"chat_template": "b"}`, "b", ""},
		{"tokenizer_config.json", `{"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "c"}]}`, "c", "x"},
		{"tokenizer_config.json", `{}`, "", ""},
		{"README", ``, "", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := findTemplates(dir)
		if got.source != c.want || got.withTools != c.tools || (err != nil) != (c.want == "") {
			t.Errorf("%s %s: %+v, %v", c.file, c.text, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "has no chat template") {
			t.Error(err)
		}
	}
}

// Messages are a list, or an object with one.
func TestMessages(t *testing.T) {
	list, more, err := Messages([]byte(`{"messages": [{"role": "user", "content": "x"}], "tools": [1], "b": null}`))
	if err != nil || list.Len() != 1 || len(more) != 2 {
		t.Fatal(list, more, err)
	}
	if text, err := jinja.JSON(more["tools"]); err != nil || text != "[1]" {
		t.Error(text, err)
	}
	for _, bad := range []string{"", "[]", "{}", `[1]`, `[{"content": "x"}]`, `[{"role": "user"}] 2`, `{"messages": "x"}`} {
		if _, _, err := Messages([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "messages: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
