package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// diagnosis turns what the evaluator raises into few, placed, short messages.
type diagnosis struct {
	*evaluation
	places *places
	names  pathNames
}

// finding is a mistake, and how likely it is the cause of others.
type finding struct {
	*Error
	consequence bool   // of another mistake, if there is any
	path        string // as messages give it
	list        bool   // of a list's length, which an element may be the cause of
	raw         []string
	exact       bool // at is the value itself, not something around it
	alternative bool // differs from one value, which may be a default only
	at          token.Pos
}

// diagnose explains all errors of an evaluated document.
func (e *evaluation) diagnose(all []raised) Errors {
	d := &diagnosis{evaluation: e, places: newPlaces(e)}
	d.names = e.pathNames()
	var order []string
	groups := map[string][]raised{}
	for _, r := range all {
		if groups[r.key()] == nil {
			order = append(order, r.key())
		}
		groups[r.key()] = append(groups[r.key()], r)
	}
	var found []finding
	for _, key := range order {
		found = append(found, d.explain(groups[key]))
	}
	for _, err := range e.tokenErrors() {
		if !slices.ContainsFunc(found, func(f finding) bool { return f.Pos.Path == err.Pos.Path }) {
			found = append(found, finding{Error: err})
		}
	}
	return d.causes(d.misspelt(found))
}

// misspelt tells fields that are unknown because what they are in has a
// misspelt name, or does not belong there: that instead.
func (d *diagnosis) misspelt(found []finding) []finding {
	var more []finding
	for _, f := range found {
		if f.Msg != unknownFieldMsg || f.exact && len(f.raw) < 3 {
			continue
		}
		for n := 1; n < len(f.raw)-1; n++ {
			parent, name := f.raw[:n], unquote(f.raw[n])
			field := d.places.written(d.value.LookupPath(cuePath(parent)), labelOf(parent))
			if field == nil || d.isSchema(field.Pos().Filename()) {
				continue
			}
			own := member(field.Value, name)
			known := slices.DeleteFunc(fieldNames(d.value.LookupPath(cuePath(parent))), func(s string) bool {
				return slices.Contains(members(field.Value), s)
			})
			hint := Suggest(name, known)
			if own == nil || hint == "" && (f.exact || n < len(f.raw)-2) {
				continue
			}
			path := f.raw[:n+1]
			more = append(more, finding{Error: &Error{Pos: d.place(own.Pos(), path), Msg: unknownFieldMsg, Hint: hint}, at: own.Pos(), path: d.names.short(path)})
			break
		}
	}
	return append(found, more...)
}

// causes leaves out what follows from other mistakes, and tells what is told
// for several places once.
func (d *diagnosis) causes(found []finding) Errors {
	cause := false
	var unknown []string // paths of fields that may not be there
	for _, f := range found {
		cause = cause || !f.consequence
		if f.Msg == unknownFieldMsg {
			unknown = append(unknown, f.path+".")
		}
	}
	var out Errors
	for _, f := range found {
		within := slices.ContainsFunc(unknown, func(path string) bool { return strings.HasPrefix(f.path, path) }) ||
			f.list && slices.ContainsFunc(found, func(o finding) bool { return strings.HasPrefix(o.path, f.path+".") }) ||
			f.alternative && slices.ContainsFunc(found, func(o finding) bool { return sibling(o.path, f.path) && !o.alternative })
		if within || f.consequence && cause || followsFromNoNode(f.Error, found) {
			continue
		}
		out = append(out, f.Error)
	}
	return mergeUses(onePath(out.sorted()))
}

// sibling reports whether two paths are of elements of the same list.
func sibling(a, b string) bool {
	isElement := func(s string) bool { _, err := strconv.Atoi(lastOf(s)); return err == nil }
	return a != b && isElement(a) && isElement(b) && strings.TrimSuffix(a, lastOf(a)) == strings.TrimSuffix(b, lastOf(b))
}

// followsFromNoNode: a node that is no op or stage has no out either.
func followsFromNoNode(e *Error, found []finding) bool {
	return slices.ContainsFunc(found, func(f finding) bool {
		name := lastOf(f.Pos.Path)
		return (strings.HasPrefix(f.Msg, "is no ") || strings.HasPrefix(f.Msg, undefinedPrefix)) && (e.Msg == undefinedPrefix+name+".out" || e.Msg == undefinedPrefix+"nodes."+name+".out")
	})
}

func lastOf(path string) string { return path[strings.LastIndex(path, ".")+1:] }

// onePath tells a mistake in a definition once, at its use if there is one.
func onePath(es Errors) Errors {
	var out Errors
	for _, e := range es {
		i := slices.IndexFunc(out, func(o *Error) bool {
			a, b := o.Pos, e.Pos
			a.Path, b.Path = lastOf(a.Path), lastOf(b.Path)
			return a == b && o.Msg == e.Msg && (a.Line > 0 || o.Pos.Path == e.Pos.Path)
		})
		switch {
		case i < 0:
			out = append(out, e)
		case strings.HasPrefix(out[i].Pos.Path, "#"):
			out[i] = e
		}
	}
	return out
}

// explain gives the one message for all errors of one path.
func (d *diagnosis) explain(group []raised) finding {
	path := group[0].path
	pos, exact := d.where(group)
	f := finding{Error: &Error{Pos: d.place(pos, path)}, at: pos, exact: exact, raw: path, path: d.names.short(path)}
	switch {
	case d.listLength(&f, group), d.unknownField(&f, group), d.missingField(&f, group), d.undefined(&f, group),
		d.nodeForToken(&f, group), d.unwanted(&f, group), d.incomplete(&f, group):
	default:
		f.Msg = plainText(group)
		f.consequence = !exact || !slices.ContainsFunc(group, func(r raised) bool { return !isSummary(r) })
	}
	return f
}

// plainText is the evaluator's own message, without the summary of a disjunction.
func plainText(group []raised) string {
	for _, r := range group {
		switch {
		case isSummary(r):
		case r.format == "error in call to %s" && r.text == fmt.Sprintf(r.format, r.args[0]): // the cause is lost in disjunctions
			if slices.Contains([]string{"div", "mod", "quo", "rem"}, r.args[0]) {
				return r.args[0] + " divides by zero"
			}
			return "the call of " + r.args[0] + " fails"
		default:
			return firstLine(r.text)
		}
	}
	return firstLine(group[0].text)
}

func isSummary(r raised) bool { return strings.Contains(r.format, "errors in empty disjunction") }

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSuffix(line, ":")
}

// where is the place of the value that the person wrote, and whether that is
// exactly the one at fault rather than something around it.
func (d *diagnosis) where(group []raised) (token.Pos, bool) {
	path := group[0].path
	var user []token.Pos
	for _, r := range group {
		for _, p := range r.pos {
			if !p.IsValid() {
				continue
			}
			if strings.HasPrefix(p.Filename(), "--set ") {
				return p, true
			}
			if !d.isSchema(p.Filename()) {
				user = append(user, p)
			}
		}
	}
	var best token.Pos
	for _, p := range user {
		if l := d.places.innermost(p); l != nil && l.name == labelOf(path) {
			if !best.IsValid() || p.Offset() > best.Offset() {
				best = p
			}
		}
	}
	if best.IsValid() {
		return best, true
	}
	if d.source.config != nil {
		return d.whereInConfig(path)
	}
	for n := len(path); n > 0; n-- {
		v := d.value.LookupPath(cuePath(path[:n]))
		if f := d.places.written(v, labelOf(path[:n])); f != nil && !d.isSchema(f.Pos().Filename()) {
			return f.Pos(), n == len(path)
		}
	}
	for _, p := range user {
		if p.Filename() == d.source.name && p.Offset() > best.Offset() || !best.IsValid() {
			best = p
		}
	}
	return best, best.IsValid()
}

// whereInConfig is the innermost field of a config.json on a path.
func (d *diagnosis) whereInConfig(path []string) (token.Pos, bool) {
	var e ast.Expr = d.source.config
	var pos token.Pos
	names := strings.Split(configPath(path), ".")
	for i, name := range names {
		f := member(e, unquote(name))
		if f == nil {
			return pos, false
		}
		pos, e = f.Value.Pos(), f.Value
		if i == len(names)-1 {
			return pos, true
		}
	}
	return pos, false
}

// isSchema reports whether a file is no document of the user's.
func (d *diagnosis) isSchema(file string) bool {
	if file == d.source.name {
		return d.source.shown != ""
	}
	return isBuiltin(file)
}

// labelOf is the name of the field at the end of a path, indices left out.
func labelOf(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if p := cuePath(path[i : i+1]); len(p.Selectors()) == 1 && p.Selectors()[0].Type() != cue.IndexLabel {
			return unquote(path[i])
		}
	}
	return ""
}

// place is a position as messages give it.
func (d *diagnosis) place(pos token.Pos, path []string) ir.Pos {
	p := at(pos, d.names.short(path))
	if set, ok := strings.CutPrefix(p.File, "--set "); ok {
		p = ir.Pos{File: p.File, Path: p.Path}
		if strings.HasSuffix(p.Path, set) || set == strings.TrimSuffix(strings.TrimPrefix(p.Path, "inputs."), ".value") {
			p.Path = ""
		}
	}
	if p.File == "" {
		p.File = d.source.name
		if d.source.shown != "" {
			p.File = d.source.shown
		}
	}
	return p
}

// loadErrors explains why an import can't be resolved.
func (e *evaluation) loadErrors(err error) error {
	out := unknownImports(e.source)
	if len(out) == 0 {
		for _, x := range errors.Errors(err) {
			r := raise(x)
			file := &Error{Pos: ir.Pos{File: e.source.name}, Msg: firstLine(r.text)}
			for _, p := range r.pos {
				if p.IsValid() && file.Pos.Line == 0 {
					file.Pos = at(p, "")
				}
			}
			out = append(out, file)
		}
	}
	return out.err()
}
