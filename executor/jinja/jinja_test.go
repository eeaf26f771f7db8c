package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// Templates render byte for byte as transformers renders them.
func TestTransformers(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/chat/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Now       string
		Templates map[string]string
		Cases     []struct {
			Template string
			Vars     map[string]json.RawMessage
			Text     *string
			Refused  *string
			Wrong    bool
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse("2006-01-02T15:04:05", file.Now)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range file.Cases {
		tmpl, err := Parse(c.Template, file.Templates[c.Template])
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		vars := map[string]any{}
		for name, raw := range c.Vars {
			if vars[name], err = Value(raw); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := tmpl.Render(vars, now)
		var refused *Refused
		switch {
		case c.Refused != nil:
			if !errors.As(err, &refused) || refused.Msg != *c.Refused {
				t.Errorf("%s: %v, want the refusal %q", c.Template, err, *c.Refused)
			}
		case c.Wrong:
			if err == nil || errors.As(err, &refused) {
				t.Errorf("%s: %q, %v, want an error", c.Template, got, err)
			}
		case err != nil:
			t.Errorf("%s: %v, want %q", c.Template, err, *c.Text)
		case got != *c.Text:
			t.Errorf("%s with %s:\n got %q\nwant %q", c.Template, c.Vars["messages"], got, *c.Text)
		}
		checked++
	}
	if checked < 50 {
		t.Errorf("%d cases", checked)
	}
}

// Generation tags tell which parts the assistant said.
func TestGeneration(t *testing.T) {
	tmpl, err := Parse("t", "{% for m in messages %}{% if m.role == 'a' %}{% generation %}{{ m.text }}!{% endgeneration %}{% else %}{{ m.text }}{% endif %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	messages, err := Value([]byte(`[{"role":"u","text":"é"},{"role":"a","text":"bc"},{"role":"u","text":"d"},{"role":"a","text":""}]`))
	if err != nil {
		t.Fatal(err)
	}
	text, made, err := tmpl.Render(map[string]any{"messages": messages}, time.Time{})
	if err != nil || text != "ébc!d!" || len(made) != 2 || text[made[0].From:made[0].To] != "bc!" || text[made[1].From:made[1].To] != "!" {
		t.Errorf("%q %v %v", text, made, err)
	}
}

// What a template must not do, or does wrong, is told with its line.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a\n{% include 'x' %}", "t:2: include is not allowed"},
		{"{% for i in range(100) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "t:1: the template takes more than"},
		{"{% for i in range(100001) %}{% endfor %}", "t:1: range of"},
		{"{% macro f() %}{{ f() }}{% endmacro %}\n{{ f() }}", "calls itself too deeply"},
		{"{{ 'x' * 999999999 }}", "t:1: a text of more than"},
		{"{% set s = 'xxxxxxxxxx' * 6000000 %}\n{{ s }}{{ s }}", "t:2: the template writes more than"},
		{"\n\n{{ x.y }}", "t:3: x is undefined"},
		{"{{ 1 / 0 }}", "t:1: division by zero"},
		{"{{ a b }}", "t:1: want }}"},
		{"{% if x %}", "t:1: want endif before the end"},
		{"{{ 'a", "t:1: a string does not end"},
		{"{{ x", `t:1: "{{" is not closed`},
		{"{% endfor %}", `t:1: unknown tag "endfor"`},
		{"{{ x | nosuch }}", `t:1: no filter "nosuch"`},
		{"{{ x is nosuch }}", `t:1: no test "nosuch"`},
		{"{{ [1].append(2) }}", "would change a list"},
		{"{% break %}", "t:1: break outside of a loop"},
		{"{{ " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + " }}", "levels"},
		{strings.Repeat("{% if x %}", 5000), "levels"},
		{"{{ x.__class__.__mro__ }}", "undefined"},
	} {
		tmpl, err := Parse("t", c.source)
		if err == nil {
			_, _, err = tmpl.Render(map[string]any{}, time.Time{})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %s", c.source, err, c.want)
		}
	}
}

// No text makes the package panic, and nothing runs for ever.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"{{ x }}", "{% for a, b in x.items() %}{{ loop.index }}{% endfor %}", "{%- set x = [1,2][::-1] -%}", "{% raw %}{{{% endraw %}", "{# c #}\n{{ 'a' ~ 1 | tojson }}",
		"{% macro f(a, b=1) %}{{ a }}{% endmacro %}{{ f(2) }}", "{% filter upper %}x{% endfilter %}", "{{ x if y else z }}", "{{ -1 ** 2 }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if tmpl, err := Parse("t", s); err == nil {
			_, _, _ = tmpl.Render(map[string]any{"x": NewDict(), "y": NewList(int64(1))}, time.Time{})
		}
	})
}
