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
	var all []field
	for fields.Next() {
		if sel := fields.Selector(); sel.LabelType() == cue.StringLabel {
			optional := sel.ConstraintType() == cue.OptionalConstraint
			all = append(all, field{unquote(strings.TrimRight(sel.String(), "?!")), optional, fields.Value()})
		}
	}
	var unknown, absent []string
	described := false
	where := map[string]token.Pos{}
	for _, f := range all {
		places := conjuncts(f.value)
		own := slices.IndexFunc(places, func(p token.Pos) bool { return !isBuiltin(p.Filename()) })
		known := slices.ContainsFunc(places, func(p token.Pos) bool { return isBuiltin(p.Filename()) })
		described = described || known
		switch {
		case f.optional || own < 0:
			absent = append(absent, f.name)
		case !known:
			unknown = append(unknown, f.name)
			where[f.name] = places[own]
		}
	}
	var out []*Error
	for _, name := range unknown {
		if !described { // an architecture of the document's own
			return nil
		}
		near := slices.DeleteFunc(slices.Clone(absent), func(k string) bool { return !nearly(name, k) })
		if hint := Suggest(name, near); hint != "" {
			out = append(out, &Error{Pos: at(where[name], "config."+name), Msg: "is a field that the architecture does not read", Hint: hint})
		}
	}
	return out
}

// field is one of a config, or one that it may have.
type field struct {
	name     string
	optional bool // and not given
	value    cue.Value
}

// nearly reports whether a name may be another one, misspelt.
func nearly(name, other string) bool {
	return distance(strings.ToLower(name), strings.ToLower(other)) <= max(1, len(other)/8)
}
