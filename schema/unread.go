package schema

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"
)

// unread tells of fields of a model's config that its architecture does not read and that are nearly one which it
// reads and which is not given: they are misspelt. A config.json has many fields that nobody reads, so others are not told.
func unread(config cue.Value) []*Error {
	fields, err := config.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var unknown, absent []string
	described := false
	where := map[string]token.Pos{}
	for fields.Next() {
		sel := fields.Selector()
		if sel.LabelType() != cue.StringLabel {
			continue
		}
		name := unquote(strings.TrimRight(sel.String(), "?!"))
		places := conjuncts(fields.Value())
		own := slices.IndexFunc(places, func(p token.Pos) bool { return !isBuiltin(p.Filename()) })
		known := slices.ContainsFunc(places, func(p token.Pos) bool { return isBuiltin(p.Filename()) })
		described = described || known
		switch {
		case sel.ConstraintType() == cue.OptionalConstraint || own < 0:
			absent = append(absent, name)
		case !known:
			unknown = append(unknown, name)
			where[name] = places[own]
		}
	}
	var out []*Error
	for _, name := range unknown {
		if !described { // an architecture of the document's own
			return nil
		}
		near := slices.DeleteFunc(slices.Clone(absent), func(k string) bool { return distance(strings.ToLower(name), strings.ToLower(k)) > max(1, len(k)/8) })
		if hint := Suggest(name, near); hint != "" {
			out = append(out, &Error{Pos: at(where[name], "config."+name), Msg: "is a field that the architecture does not read", Hint: hint})
		}
	}
	return out
}
