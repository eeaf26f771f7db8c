// Package jinja renders chat templates: the part of the Jinja language that the
// templates of language models are written in, as transformers renders it
// (trim_blocks, lstrip_blocks, loop controls, generation tags, tojson,
// raise_exception, strftime_now).
//
// A template can read what it is given and nothing else: no files, no other
// templates, no change of what it was given. It stops at a number of steps and
// bytes.
package jinja

import (
	"fmt"
	"strings"
	"time"
)

// Limits of one rendering.
const (
	maxSteps  = 1_000_000
	maxOutput = 64 << 20 // bytes
	maxRange  = 100_000
	maxDepth  = 200 // of calls and expressions
)

// Template is a parsed template. It may be rendered concurrently.
type Template struct {
	name string
	body []stmt
}

// Error is what is wrong in a template, and where.
type Error struct {
	Name string // of the template
	Line int
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Msg) }

// Refused is what a template says of what it was given, by raise_exception.
type Refused struct{ Msg string }

func (e *Refused) Error() string { return e.Msg }

// Parse reads a template. name is for messages. Errors are *Error.
func Parse(name, source string) (t *Template, err error) {
	defer func() {
		switch fail := recover().(type) {
		case nil:
		case fault:
			t, err = nil, &Error{name, fail.line, fail.msg}
		default:
			panic(fail)
		}
	}()
	p := &parser{toks: lex(source), known: filters(), tests: tests()}
	body, end := p.block()
	if end != "" {
		p.fail("unexpected %q", end)
	}
	return &Template{name, body}, nil
}

// Span is a range of bytes of a text.
type Span struct{ From, To int }

// Render fills the template with vars, whose values are those that Value makes,
// and gives the text and the parts of it that generation tags enclose. now is
// what strftime_now tells. What the template refuses is a *Refused, any other
// error an *Error.
func (t *Template) Render(vars map[string]any, now time.Time) (text string, made []Span, err error) {
	s := &state{now: now, filters: filters(), tests: tests()}
	defer func() {
		switch fail := recover().(type) {
		case nil:
		case fault:
			text, made, err = "", nil, &Error{t.name, fail.line, fail.msg}
			if fail.refused {
				err = &Refused{fail.msg}
			}
		default:
			panic(fail)
		}
	}()
	top := &scope{vars: map[string]any{}}
	for name, v := range globals {
		top.vars[name] = v
	}
	for name, v := range vars {
		top.vars[name] = v
	}
	var out strings.Builder
	s.out = &out
	s.run(t.body, top)
	return out.String(), s.made, nil
}

// fault travels by panic from where it is found to Parse or Render.
type fault struct {
	line    int
	msg     string
	refused bool
}
