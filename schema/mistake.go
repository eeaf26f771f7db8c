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

const unknownFieldMsg = "there is no such field"

// unknownField: a closed struct has a field that its definition lacks.
func (d *diagnosis) unknownField(f *finding, group []raised) bool {
	if !slices.ContainsFunc(group, func(r raised) bool { return r.format == "field not allowed" }) {
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

// incomplete: a value is not known.
func (d *diagnosis) incomplete(f *finding, group []raised) bool {
	first := slices.IndexFunc(group, func(r raised) bool { return !isSummary(r) })
	if first < 0 {
		first = 0
	}
	r := group[first]
	isIncomplete := strings.HasPrefix(r.format, "incomplete value")
	if !isIncompleteText(r) {
		return false
	}
	f.Msg = "has no value"
	path := group[0].path
	written := d.places.fieldOf(path, f.at)
	if written != nil && !d.blanked[written.Pos().Offset()] && d.twoDefaults(f, written.Value) {
		return true
	}
	blanked := written != nil && d.blanked[written.Pos().Offset()]
	f.consequence = !isIncomplete || blanked
	if n := len(path); n > 2 && path[n-1] == "value" && path[n-3] == "inputs" {
		f.Hint = fmt.Sprintf("give --set %s=...", path[n-2])
		f.Pos.Path = strings.TrimSuffix(f.Pos.Path, ".value")
		return true
	}
	f.consequence = f.consequence || written != nil && refers(written.Value) || written == nil && d.computed(r)
	if isIncomplete && len(r.args) > 0 {
		if want := (wanted{types: r.args[:1]}).String(); want != "" {
			f.Hint = "want " + want
		}
	}
	return true
}

// noValuePrefix begins the message of a value that two defaults leave open.
const noValuePrefix = "has no value: "

// twoDefaults: what an expression refers to has a default that differs from
// the one that the schema has for the value.
func (d *diagnosis) twoDefaults(f *finding, e ast.Expr) bool {
	target := d.places.target(e)
	if target == nil {
		return false
	}
	literal := defaultOf(target.Value)
	if literal == nil {
		return false
	}
	f.Msg = noValuePrefix + fmt.Sprintf("%s has the default %s, and here there is another", exprText(e), exprText(literal))
	f.Hint = fmt.Sprintf("write %s: %s without *", fieldName(target), exprText(literal))
	return true
}

// computed reports whether the definition of a value computes it from others.
func (d *diagnosis) computed(r raised) bool {
	for _, p := range append(slices.Clone(r.pos), conjuncts(d.value.LookupPath(cuePath(r.path)))...) {
		if f := d.places.field(labelOf(r.path), p); f != nil && d.isSchema(p.Filename()) && refers(f.Value) {
			return true
		}
	}
	return false
}

// refers reports whether an expression refers to anything in the document.
func refers(e ast.Expr) bool {
	found := false
	ast.Walk(e, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.StructLit:
			return false
		case *ast.Ident:
			_, pkg := x.Node.(*ast.ImportSpec)
			if !x.IsPredeclared() && !pkg && !strings.HasPrefix(x.Name, "#") {
				found = true
			}
		}
		return !found
	}, nil)
	return found
}

// mergeUses tells a mistake that shows in several places at the first.
func mergeUses(es Errors) Errors {
	var out Errors
	lines := map[*Error][]string{}
	for _, e := range es {
		i := slices.IndexFunc(out, func(o *Error) bool {
			return o.Msg == e.Msg && o.Hint == e.Hint && o.Pos.File == e.Pos.File &&
				slices.ContainsFunc([]string{undefinedPrefix, noTokenPrefix, noValuePrefix}, func(p string) bool { return strings.HasPrefix(e.Msg, p) })
		})
		if i < 0 {
			out = append(out, e)
			continue
		}
		if line := fmt.Sprint(e.Pos.Line); line != fmt.Sprint(out[i].Pos.Line) && !slices.Contains(lines[out[i]], line) {
			lines[out[i]] = append(lines[out[i]], line)
		}
	}
	for e, more := range lines {
		where := "line " + more[0]
		if len(more) > 1 {
			where = "lines " + strings.Join(more, ", ")
		}
		if e.Hint != "" {
			e.Hint += "; "
		}
		e.Hint += "also in " + where
	}
	return out
}
