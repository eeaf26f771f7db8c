package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
)

// Each of these methods explains one kind of mistake, if the errors of a path
// are of that kind.

// The methods of diagnosis that take a finding explain one kind of mistake
// each: they report whether the errors of a path are of that kind.

// unknownFieldMsg says that a closed struct has a field too many.
const unknownFieldMsg = "there is no such field"

// notAllowed is how the evaluator says it.
const notAllowed = "field not allowed"

// unknownField: a closed struct has a field that its definition lacks.
func (d *diagnosis) unknownField(f *finding, group []raised) bool {
	if !slices.ContainsFunc(group, func(r raised) bool { return r.format == notAllowed }) {
		return false
	}
	path := group[0].path
	name := labelOf(path)
	known := fieldNames(d.value.LookupPath(cuePath(path[:len(path)-1])))
	graph := slices.Contains(known, "nodes")
	known = slices.DeleteFunc(known, func(s string) bool { // ids and tokens are computed, but what a graph gives is not
		return s == name || s == "id" || s == "out" && !graph
	})
	f.Msg = unknownFieldMsg
	if f.Hint = Suggest(name, known); f.Hint == "" && len(known) > 0 {
		slices.Sort(known)
		f.Hint = "there are " + strings.Join(known, ", ")
	}
	return true
}

// missingField: a required field is not there.
func (d *diagnosis) missingField(f *finding, group []raised) bool {
	if !slices.ContainsFunc(group, func(r raised) bool { return r.format == notPresent }) {
		return false
	}
	path := group[0].path
	f.Msg = "is missing"
	for _, r := range group {
		for _, p := range r.pos {
			if field := d.places.field(labelOf(path), p); field != nil && isBuiltin(p.Filename()) && f.Hint == "" {
				f.Hint = meaning(field)
			}
		}
	}
	if f.Hint == "" {
		f.Hint = d.schemaComment(path)
	}
	return true
}

// schemaComment is the comment above the definition of a field.
func (d *diagnosis) schemaComment(path []string) string {
	parent := d.value.LookupPath(cuePath(path[:len(path)-1]))
	v := parent.LookupPath(cue.MakePath(cue.Str(labelOf(path)).Required()))
	if !v.Exists() {
		v = parent.LookupPath(cue.MakePath(cue.Str(labelOf(path)).Optional()))
	}
	for _, pos := range conjuncts(v) {
		if f := d.places.field(labelOf(path), pos); f != nil {
			return meaning(f)
		}
	}
	return ""
}

// meaning is the first sentence of the comment above a definition's field.
func meaning(f *ast.Field) string {
	s, _, _ := strings.Cut(comment(f), ". ")
	s = strings.TrimSuffix(strings.ReplaceAll(s, "\n", " "), ".")
	for _, verb := range []string{" is ", " are "} {
		s = strings.TrimPrefix(s, fieldName(f)+verb)
	}
	return s
}

// nodeForToken: a whole node stands where its token is wanted.
func (d *diagnosis) nodeForToken(f *finding, group []raised) bool {
	for _, r := range group {
		if !isConflict(r) || len(r.args) < 2 {
			continue
		}
		text, other := r.args[0], r.args[1]
		if other == "string" {
			text, other = other, text
		}
		if text != "string" || !strings.HasPrefix(other, "{") {
			continue
		}
		f.Msg = "is a node, want the token of what it gives"
		if expr := d.places.exprAt(f.at); expr != "" {
			f.Hint = fmt.Sprintf("write %s.out", expr)
		}
		return true
	}
	return false
}

func isConflict(r raised) bool { return strings.HasPrefix(r.format, "conflicting values") }
