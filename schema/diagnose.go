package schema

import (
	"fmt"
	"slices"
	"strings"

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
	raw   []string  // path of the value
	path  string    // the same as messages give it
	at    token.Pos // where it is written, or something around it
	exact bool      // at is the value itself

	consequence bool // of another mistake, if there is any
	computed    bool // of what the document computes, not of what stands there
	list        bool // of a list's length, which an element may be the cause of
	alternative bool // differs from one value, which may be a default only
}

// diagnose explains all errors of an evaluated document.
func (e *evaluation) diagnose(all []raised) Errors {
	d := &diagnosis{evaluation: e, places: newPlaces(e)}
	d.names = e.pathNames()
	var order []string
	groups := map[string][]raised{}
	for _, r := range all {
		if d.allowed(r, all) {
			continue
		}
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

// allowed reports whether a field that the evaluator does not allow is one that a pattern does: what
// is wrong within it, by a definition, makes the evaluator forget that.
func (d *diagnosis) allowed(r raised, all []raised) bool {
	return r.format == notAllowed && slices.ContainsFunc(all, func(o raised) bool {
		return isConflict(o) && len(o.raw) > len(r.raw) && slices.Equal(o.raw[:len(r.raw)], r.raw) &&
			slices.ContainsFunc(o.pos, func(p token.Pos) bool { return d.isSchema(p.Filename()) })
	})
}

// explain gives the one message for all errors of one path.
func (d *diagnosis) explain(group []raised) finding {
	path := group[0].path
	pos, exact := d.where(group)
	f := finding{Error: &Error{Pos: d.place(pos, path)}, raw: path, path: d.names.short(path), at: pos, exact: exact}
	switch {
	case d.listLength(&f, group), d.unknownField(&f, group), d.missingField(&f, group), d.undefined(&f, group),
		d.nodeForToken(&f, group):
	case d.unwanted(&f, group):
		f.computed = d.computes(path, pos)
	case d.incomplete(&f, group):
	default:
		f.Msg = plainText(group)
		f.consequence = !exact || !slices.ContainsFunc(group, func(r raised) bool { return !isSummary(r) })
		f.computed = d.computes(path, pos)
	}
	return f
}

// computes reports whether what is at pos refers to other values, or stands only around the value of a path.
func (d *diagnosis) computes(path []string, pos token.Pos) bool {
	if strings.HasPrefix(pos.Filename(), "--set ") {
		return false
	}
	written := d.places.fieldOf(path, pos)
	return written == nil || refers(written.Value)
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

// loadErrors explains why an import can't be resolved.
func (e *evaluation) loadErrors(err error) error {
	out := unknownImports(e.source, err)
	if len(out) == 0 {
		for _, x := range errors.Errors(err) {
			r := raise(x)
			file := &Error{Pos: ir.Pos{File: e.source.name}, Msg: strings.TrimPrefix(firstLine(r.text), "import failed: ")}
			for _, p := range r.pos {
				if p.IsValid() && (file.Pos.Line == 0 || p.Filename() != e.source.name) {
					file.Pos = at(p, "")
				}
			}
			out = append(out, file)
		}
	}
	return out.err()
}
