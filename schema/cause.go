package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"
)

// Of what the evaluator finds, much follows from something else. This file
// keeps the causes.

// misspelt adds names that are misspelt, where the evaluator only says that
// what is under them does not belong there.
func (d *diagnosis) misspelt(found []finding) []finding {
	var more []finding
	for _, f := range found {
		if f.Msg != unknownFieldMsg {
			continue
		}
		for n := 1; n < len(f.raw)-1; n++ {
			// Without a suggestion, only the struct right around is to blame,
			// and only if the field is none that the person wrote.
			blame := !f.exact && n == len(f.raw)-2
			if name, ok := d.unexpected(f.raw[:n+1], blame); ok {
				more = append(more, name)
				break
			}
		}
	}
	return append(found, more...)
}

// unexpected tells that the name at the end of a path does not belong there,
// if it is nearly one that does, or in any case.
func (d *diagnosis) unexpected(path []string, anyway bool) (finding, bool) {
	parent, name := path[:len(path)-1], labelOf(path)
	v := d.value.LookupPath(cuePath(parent))
	field := d.places.written(v, labelOf(parent))
	if field == nil || d.isSchema(field.Pos().Filename()) {
		return finding{}, false
	}
	own := member(field.Value, name)
	written := members(field.Value)
	hint := Suggest(name, slices.DeleteFunc(fieldNames(v), func(s string) bool { return slices.Contains(written, s) }))
	if child := v.LookupPath(cuePath(path[len(path)-1:])); slices.ContainsFunc(conjuncts(child), func(p token.Pos) bool { return d.isSchema(p.Filename()) }) {
		hint = "" // it has a name that belongs there, as model beside models
	}
	if own == nil || hint == "" && !anyway {
		return finding{}, false
	}
	e := &Error{Pos: d.place(own.Pos(), path), Msg: unknownFieldMsg, Hint: hint}
	return finding{Error: e, at: own.Pos(), exact: true, raw: path, path: d.names.short(path)}, true
}

// causes leaves out what follows from other mistakes, and tells what is told
// for several places once.
func (d *diagnosis) causes(found []finding) Errors {
	cause, checked := false, false
	var unknown []string // paths of fields that may not be there
	for _, f := range found {
		cause, checked = cause || !f.consequence, checked || f.ofCheck()
		if f.Msg == unknownFieldMsg {
			unknown = append(unknown, f.path+".")
		}
	}
	var out Errors
	for _, f := range found {
		under := slices.ContainsFunc(unknown, func(path string) bool { return strings.HasPrefix(f.path, path) })
		follows := f.consequence && cause || f.computed && checked && !f.ofCheck()
		if under || follows || f.followsFrom(found) {
			continue
		}
		out = append(out, f.Error)
	}
	return mergeUses(onePath(out.sorted()))
}

// ofCheck reports whether the document itself tells the mistake, by an error among its _checks.
func (f finding) ofCheck() bool { return slices.Contains(f.raw, "_checks") }

// followsFrom: a list is wrong because of an element; an element has no value
// because the list is too short; an element differs from
// that of a default because another one is wrong; a node that is no op or
// stage has no out.
func (f finding) followsFrom(found []finding) bool {
	return slices.ContainsFunc(found, func(o finding) bool {
		switch {
		case f.Msg == noValue && o.Msg != noValue && strings.HasPrefix(o.path, f.path+"."):
			return true
		case f.list:
			return strings.HasPrefix(o.path, f.path+".") && o.Msg != noValue
		case o.list && f.Msg == noValue:
			return strings.HasPrefix(f.path, o.path+".")
		case f.alternative:
			return sibling(o.path, f.path) && !o.alternative
		case strings.HasPrefix(o.Msg, "is no ") || strings.HasPrefix(o.Msg, undefinedPrefix):
			out := lastOf(o.Pos.Path) + ".out"
			return f.Msg == undefinedPrefix+out || f.Msg == undefinedPrefix+"nodes."+out
		}
		return false
	})
}

// sibling reports whether two paths are of elements of the same list.
func sibling(a, b string) bool {
	isElement := func(s string) bool { _, err := strconv.Atoi(lastOf(s)); return err == nil }
	return a != b && isElement(a) && isElement(b) && strings.TrimSuffix(a, lastOf(a)) == strings.TrimSuffix(b, lastOf(b))
}

// lastOf is the last part of a path.
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

// isUse reports whether a mistake is told where something is used, though it
// may have been made elsewhere.
func isUse(e *Error) bool {
	return strings.HasPrefix(e.Msg, undefinedPrefix) || strings.HasPrefix(e.Msg, noTokenPrefix) || strings.HasPrefix(e.Msg, noValuePrefix)
}

// mergeUses tells a mistake that shows in several places at the first.
func mergeUses(es Errors) Errors {
	var out Errors
	lines := map[*Error][]string{}
	for _, e := range es {
		i := slices.IndexFunc(out, func(o *Error) bool {
			return o.Msg == e.Msg && o.Hint == e.Hint && o.Pos.File == e.Pos.File && isUse(e)
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
