package schema

import (
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/token"
)

// A name that is not in scope keeps the evaluator from starting. So that the
// other mistakes are told as well, expressions that use such names are
// replaced by _, which stands for any value.

// tolerate replaces the expressions at the given places and reports whether
// there were any.
func tolerate(f *ast.File, at []token.Pos) bool {
	done := false
	astutil.Apply(f, func(c astutil.Cursor) bool {
		e, ok := c.Node().(ast.Expr)
		if !ok {
			return true
		}
		id := root(e)
		if id == nil || !slices.ContainsFunc(at, func(p token.Pos) bool { return samePos(id.Pos(), p) }) {
			return true
		}
		if f, ok := c.Parent().Node().(*ast.Field); ok && ast.Node(f.Label) == c.Node() {
			return true
		}
		c.Replace(ast.NewIdent("_"))
		done = true
		return false
	}, nil)
	return done
}

// unresolved are the places of names that are not in scope.
func unresolved(found []raised) []token.Pos {
	var out []token.Pos
	for _, r := range found {
		m := notFound.FindStringSubmatch(r.text)
		if m == nil {
			continue
		}
		if packageCalled(m[1]) != "" {
			return nil // without an import, nothing else in the document makes sense
		}
		out = append(out, r.pos...)
	}
	return out
}

// lenientTree is what of a value is valid, as a tree.
func lenientTree(v cue.Value) any {
	if s, err := v.String(); err == nil {
		return s
	}
	if v.IncompleteKind() == cue.StructKind || v.IncompleteKind() == cue.BottomKind {
		fields, err := v.Fields(cue.Definitions(true))
		if err != nil {
			return nil
		}
		o := &object{fields: map[string]any{}}
		for fields.Next() {
			if sel := fields.Selector(); sel.LabelType() == cue.StringLabel {
				if x := lenientTree(fields.Value()); x != nil {
					o.set(sel.Unquoted(), x)
				}
			}
		}
		return o
	}
	if data, err := v.MarshalJSON(); err == nil {
		if x, err := parseTree(data); err == nil {
			return x
		}
	}
	return nil
}
