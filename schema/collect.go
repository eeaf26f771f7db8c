package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// raised is one error as the evaluator raises it.
type raised struct {
	path   []string // in the document
	raw    []string // in the value
	format string   // of the message: "conflicting values %s and %s"
	args   []string // what stands in it
	text   string   // the whole message, without the path
	pos    []token.Pos
}

func raise(e errors.Error) raised {
	format, args := e.Msg()
	r := raised{path: ofConfig(e.Path()), raw: e.Path(), format: format, pos: errors.Positions(e)}
	for _, a := range args {
		r.args = append(r.args, fmt.Sprint(a))
	}
	r.text = errors.StringWithConfig(e, &errors.Config{OmitPath: true})
	return r
}

// ofConfig is the path in a recipe's config for that of what the architecture
// makes of it.
func ofConfig(path []string) []string {
	graph := slices.Index(path, "#graph")
	if graph < 0 {
		return path
	}
	for i := len(path) - 2; i > graph; i-- {
		if path[i] == "config" || path[i] == "_checks" {
			return slices.Concat(path[:graph], []string{"config"}, path[i+1:])
		}
	}
	return path
}

func (r raised) key() string { return strings.Join(r.path, "\x00") }

// collect gathers all errors of v. The evaluator leaves out what is merely
// incomplete once there is anything worse, so single fields are asked too.
func collect(v cue.Value) []raised {
	var out []raised
	seen := map[string]bool{}
	add := func(err error) {
		for _, e := range errors.Errors(err) {
			r := raise(e)
			id := r.key() + "\x01" + r.text
			if !seen[id] {
				seen[id] = true
				out = append(out, r)
			}
		}
	}
	add(v.Validate(cue.Concrete(true)))
	walkBroken(v, add)
	return out
}

// collect gathers the errors of the document, and of the architectures that
// recipes make of their configs, which are definitions and so not among its
// values.
func (e *evaluation) collect() []raised {
	out := collect(e.value)
	for _, v := range e.graphs() {
		out = append(out, collect(v)...)
	}
	return out
}

// valid reports whether the document and its architectures have all their values.
func (e *evaluation) valid() bool {
	return e.value.Validate(cue.Concrete(true)) == nil &&
		!slices.ContainsFunc(e.graphs(), func(v cue.Value) bool { return v.Validate(cue.Concrete(true)) != nil })
}

func (e *evaluation) graphs() []cue.Value {
	var out []cue.Value
	for _, f := range documentFields(e.source.file) {
		v := e.value.LookupPath(cue.MakePath(cue.Str(fieldName(f)), cue.Str("model"), cue.Def("#graph")))
		if v.Exists() {
			out = append(out, v)
		}
	}
	return out
}

// walkBroken asks the fields of v that are not valid, innermost first.
func walkBroken(v cue.Value, add func(error)) {
	err := v.Validate(cue.Concrete(true))
	if err == nil {
		return
	}
	fields, ferr := v.Fields(cue.All())
	if ferr != nil {
		add(err)
		return
	}
	inner := false
	for fields.Next() {
		sel := fields.Selector()
		switch {
		case sel.ConstraintType() == cue.RequiredConstraint:
			add(missing(v, sel))
			inner = true
		case sel.ConstraintType() == cue.OptionalConstraint, sel.IsDefinition(), sel.LabelType() == cue.HiddenLabel:
		case fields.Value().Validate(cue.Concrete(true)) != nil:
			inner = true
			walkBroken(fields.Value(), add)
		}
	}
	if !inner {
		add(err)
	}
}

// notPresent is what the evaluator says of a required field that is missing.
const notPresent = "field is required but not present"

// missingError says that a required field is missing, as the evaluator does.
type missingError struct{ path []string }

func missing(v cue.Value, sel cue.Selector) error {
	var path []string
	for _, s := range v.Path().Selectors() {
		path = append(path, s.String())
	}
	return &missingError{append(path, strings.TrimRight(sel.String(), "!"))}
}

func (e *missingError) Error() string               { return notPresent }
func (e *missingError) Position() token.Pos         { return token.NoPos }
func (e *missingError) InputPositions() []token.Pos { return nil }
func (e *missingError) Path() []string              { return e.path }
func (e *missingError) Msg() (string, []any)        { return notPresent, nil }

// cuePath turns the path of an error into one to look up.
func cuePath(path []string) cue.Path {
	var out []cue.Selector
	for _, s := range path {
		if i, err := strconv.Atoi(s); err == nil {
			out = append(out, cue.Index(i))
			continue
		}
		p := cue.ParsePath(s)
		if p.Err() != nil {
			p = cue.MakePath(cue.Str(unquote(s)))
		}
		out = append(out, p.Selectors()...)
	}
	return cue.MakePath(out...)
}

func unquote(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

// fieldNames are the regular fields that v has or may have.
func fieldNames(v cue.Value) []string {
	var out []string
	fields, err := v.Fields(cue.All())
	if err != nil {
		return nil
	}
	for fields.Next() {
		if sel := fields.Selector(); sel.LabelType() == cue.StringLabel {
			name := strings.TrimRight(sel.String(), "?!")
			if !slices.Contains(out, unquote(name)) {
				out = append(out, unquote(name))
			}
		}
	}
	return out
}
