package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
)

// wanted is what a schema allows for a value.
type wanted struct {
	types   []string // int, number, string, bool, lists, structs
	bounds  []string // ">0"
	choices []string // literals
}

// typeNames are the types as a person calls them.
var typeNames = map[string]string{
	"int": "a whole number", "number": "a number", "float": "a number", "string": "text",
	"bool": "true or false", "null": "null", "bytes": "bytes", "struct": "a struct", "list": "a list",
}

// add takes one side of a conflict.
func (w *wanted) add(s string) {
	s = strings.TrimSpace(s)
	switch {
	case typeNames[s] != "":
		w.types = appendNew(w.types, s)
	case strings.HasPrefix(s, "[") && (strings.Contains(s, "...") || s == "[]"):
		w.types = appendNew(w.types, "list")
	case strings.HasPrefix(s, "{"):
		w.types = appendNew(w.types, "struct")
	case strings.HasPrefix(s, ">"), strings.HasPrefix(s, "<"), strings.HasPrefix(s, "=~"), strings.HasPrefix(s, "!="):
		w.bounds = appendNew(w.bounds, s)
	default:
		w.choices = appendNew(w.choices, s)
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// String is the alternatives in words: a default beside its type is no
// alternative, nor is a bound that the type leaves open.
func (w wanted) String() string {
	var parts []string
	types := w.types
	if slices.Contains(types, "number") {
		types = slices.DeleteFunc(slices.Clone(types), func(s string) bool { return s == "int" || s == "float" })
	}
	for _, t := range types {
		if name := typeNames[t]; name != "" {
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 && len(w.bounds) > 0 {
		return boundText(w.bounds)
	}
	if len(parts) == 0 {
		slices.Sort(w.choices)
		return strings.Join(w.choices, " or ")
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), " or ")
}

// boundText writes bounds as a person would.
func boundText(bounds []string) string {
	var parts []string
	for _, b := range bounds {
		if re, ok := strings.CutPrefix(b, "=~"); ok {
			b = "a match of " + strings.Trim(re, `"`)
		} else if b == `!=""` {
			b = "text that is not empty"
		}
		parts = append(parts, b)
	}
	return strings.Join(parts, " and ")
}

// brief is a value as messages show it.
func brief(s string) string {
	const most = 60
	switch {
	case strings.HasPrefix(s, "{") && len(s) > 2:
		return "a struct"
	case len(s) > most:
		return s[:most] + "..."
	}
	return s
}

// firstFew is how many of several alternatives the evaluator gives at least, before it leaves out the others.
const firstFew = 9

// unwanted: a value is not among those allowed.
func (d *diagnosis) unwanted(f *finding, group []raised) bool {
	have, w, ok := d.sides(f, group)
	if !ok {
		return false
	}
	if i := d.places.elementAt(f.at); i >= 0 && !strings.HasSuffix(f.Pos.Path, fmt.Sprintf(".%d", i)) {
		f.Pos.Path += fmt.Sprintf(".%d", i)
	}
	if len(w.types) == 0 && len(w.bounds) == 0 && len(w.choices) == 1 && !d.schemaSays(group) {
		f.Msg = fmt.Sprintf("has two values, %s and %s", have, w.choices[0])
		if line := d.otherLine(f, group); line > 0 {
			f.Hint = fmt.Sprintf("the other is in line %d", line)
		}
		return true
	}
	rest := ""
	if len(w.choices) >= firstFew {
		rest = " and others"
	}
	for _, path := range []cue.Path{cuePath(f.raw), cuePath(group[0].raw)} { // as it is written, and where an architecture reads it
		if known := d.choices(d.value.LookupPath(path)); len(w.choices) > 1 && len(known) >= len(w.choices) {
			w.choices, rest = known, ""
		}
	}
	f.alternative = len(w.types) == 0 && len(w.bounds) == 0 && len(w.choices) == 1
	f.Msg = fmt.Sprintf("want %s, have %s", w, brief(have))
	if len(w.types) == 0 && len(w.bounds) == 0 {
		if strings.HasPrefix(have, `"`) {
			f.Hint = Suggest(unquote(have), unquoteAll(w.choices))
		}
		if len(w.choices) > 1 {
			f.Msg = fmt.Sprintf("want one of %s%s, have %s", strings.Join(w.choices, ", "), rest, brief(have))
		}
	}
	if expr := d.places.exprAt(f.at); strings.HasSuffix(expr, ".out") && f.Hint == "" {
		f.Msg = fmt.Sprintf("want %s, have a token", w)
		f.Hint = fmt.Sprintf("write %s.value", strings.TrimSuffix(expr, ".out"))
	}
	return true
}

// choices are the texts that a value may be one of, as literals, sorted; nil
// if it is not to be chosen from a list.
func (d *diagnosis) choices(v cue.Value) []string {
	op, args := v.Expr()
	var list []string
	for _, a := range args {
		switch op {
		case cue.OrOp:
			s, err := a.String()
			if err != nil {
				return nil
			}
			list = appendNew(list, strconv.Quote(s))
		case cue.AndOp, cue.NoOp:
			if inner, _ := a.Expr(); op == cue.AndOp || inner == cue.OrOp {
				if found := d.choices(a); len(found) > len(list) {
					list = found
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

func unquoteAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = unquote(s)
	}
	return out
}

// sides tells what the person wrote from what the schema wants.
func (d *diagnosis) sides(f *finding, group []raised) (have string, w wanted, ok bool) {
	var pairs [][2]string
	for _, r := range group {
		switch {
		case isConflict(r) && len(r.args) >= 2:
			pairs = append(pairs, [2]string{r.args[0], r.args[1]})
		case strings.HasPrefix(r.format, "invalid value") && len(r.args) >= 2:
			if b := boundOf(r); b != "" {
				w.bounds = appendNew(w.bounds, b)
				have = r.args[0]
			}
		}
	}
	if len(pairs) == 0 && have == "" {
		return "", w, false
	}
	if have == "" {
		have = d.common(f, pairs)
	}
	bounded := len(w.bounds) > 0
	for _, p := range pairs {
		other := p[0]
		if other == have {
			other = p[1]
		} else if p[1] != have {
			continue
		}
		if !bounded || typeNames[other] != "" { // beside a bound, a default is no alternative
			w.add(other)
		}
	}
	if bounded {
		w.types, w.choices = nil, nil
	}
	return have, w, true
}

var outOfBound = regexp.MustCompile(`\(out of bound (.+)\)$`)

// boundOf is the bound that a value breaks.
func boundOf(r raised) string {
	if m := outOfBound.FindStringSubmatch(r.text); m != nil {
		return m[1]
	}
	return ""
}

// common is the side of all pairs that stays the same; of a single pair, the
// one that the person wrote.
func (d *diagnosis) common(f *finding, pairs [][2]string) string {
	for _, side := range pairs[0] {
		all := true
		for _, p := range pairs {
			all = all && (p[0] == side || p[1] == side)
		}
		if all && len(pairs) > 1 && pairs[0][0] != pairs[0][1] && !slices.ContainsFunc(pairs[1:], func(p [2]string) bool { return p == pairs[0] }) {
			return side
		}
	}
	a, b := pairs[0][0], pairs[0][1]
	written := d.places.exprAt(f.at)
	if written == a || typeNames[b] != "" || strings.Contains(b, "...") {
		return a
	}
	if written == b || typeNames[a] != "" {
		return b
	}
	return a
}

// schemaSays reports whether a definition, not the person, wants another value.
func (d *diagnosis) schemaSays(group []raised) bool {
	places := map[int]bool{}
	for _, r := range group {
		for _, p := range r.pos {
			if l := d.places.innermost(p); l != nil && !d.isSchema(p.Filename()) && l.name == labelOf(r.path) {
				places[p.Offset()] = true
			}
		}
	}
	return len(places) < 2
}

// otherLine is the line of the other of two values of a field.
func (d *diagnosis) otherLine(f *finding, group []raised) int {
	for _, r := range group {
		for _, p := range r.pos {
			if !d.isSchema(p.Filename()) && p.Line() != f.at.Line() {
				if l := d.places.innermost(p); l != nil && l.name == labelOf(r.path) {
					return p.Line()
				}
			}
		}
	}
	return 0
}
