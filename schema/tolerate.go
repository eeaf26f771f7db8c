package schema

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/parser"
)

// The evaluator stops at names that are not in scope, and leaves out much once
// a struct has a mistake. So that all mistakes are told at once, a document is
// evaluated again without those that are known, until nothing new comes up.

// rounds bounds how often a document with mistakes is evaluated.
const rounds = 6

// edits are what to leave out of the document, by offsets in its text.
type edits struct {
	drop     map[int]bool // fields
	blank    map[int]bool // fields whose values become _
	names    map[int]bool // identifiers whose expressions become _
	settings map[string]bool
}

func (ed *edits) size() int {
	return len(ed.drop) + len(ed.blank) + len(ed.names) + len(ed.settings)
}

// all gathers the errors of the document, round by round, and leaves e.value
// as it is without them.
func (e *evaluation) all() []raised {
	found := e.collect()
	ed := &edits{map[int]bool{}, map[int]bool{}, map[int]bool{}, map[string]bool{}}
	seen := map[string]bool{}
	for _, r := range found {
		seen[r.key()] = true
	}
	for range rounds {
		before := ed.size()
		if !e.plan(ed, found) || ed.size() == before || e.rebuild(ed) != nil {
			break
		}
		var fresh []raised
		for _, r := range e.collect() {
			if !seen[r.key()] {
				fresh = append(fresh, r)
			}
		}
		for _, r := range fresh {
			seen[r.key()] = true
		}
		found = append(found, fresh...)
	}
	e.blanked = ed.blank
	return found
}

// plan adds what the errors are about. It reports false where nothing else in
// the document makes sense: its definitions are not imported.
func (e *evaluation) plan(ed *edits, found []raised) bool {
	d := &diagnosis{evaluation: e, places: newPlaces(e)}
	for _, r := range found {
		if m := notFound.FindStringSubmatch(r.text); m != nil && packageCalled(m[1]) != "" {
			return false
		}
		pos, exact := d.where([]raised{r})
		if set, ok := strings.CutPrefix(pos.Filename(), "--set "); ok {
			ed.settings[set] = true
			continue
		}
		if notFound.MatchString(r.text) || undefinedField.MatchString(r.text) || strings.HasPrefix(r.format, "invalid operand") {
			for _, p := range r.pos {
				if _, id := d.places.reference(p); id != nil && p.Filename() == e.source.name {
					ed.names[id.Pos().Offset()] = true
				}
			}
			continue
		}
		l := d.places.innermost(pos)
		if !exact || l == nil || pos.Filename() != e.source.name || l.name != labelOf(r.path) || isIncompleteText(r) || r.format == notPresent {
			continue
		}
		if r.format == notAllowed {
			ed.drop[l.start] = true
		} else if len(structs(l.field.Value)) == 0 {
			ed.blank[l.start] = true
		}
	}
	return true
}

// rebuild evaluates the document as edited. The places of fields stay those of
// the document as it was written.
func (e *evaluation) rebuild(ed *edits) error {
	written := e.source.file
	f, err := parser.ParseFile(e.source.name, e.source.data, parser.ParseComments)
	if err != nil {
		return err
	}
	if e.source.fill != nil {
		e.source.fill(f)
	}
	ed.apply(f)
	for _, s := range e.settings {
		if !ed.settings[s.name] {
			s.apply(f)
		}
	}
	settle(f)
	e.source.file = f
	err = e.build()
	e.source.file = written
	return err
}

func (ed *edits) apply(f *ast.File) {
	astutil.Apply(f, func(c astutil.Cursor) bool {
		switch n := c.Node().(type) {
		case *ast.Field:
			if !n.Pos().IsValid() {
				return true
			}
			if ed.drop[n.Pos().Offset()] {
				c.Delete()
				return false
			}
			if ed.blank[n.Pos().Offset()] {
				n.Value = ast.NewIdent("_")
				return false
			}
		case ast.Expr:
			id := root(n)
			if id == nil || !id.Pos().IsValid() || !ed.names[id.Pos().Offset()] {
				return true
			}
			if parent, ok := c.Parent().Node().(*ast.Field); ok && ast.Node(parent.Label) == c.Node() {
				return true
			}
			c.Replace(ast.NewIdent("_"))
			return false
		}
		return true
	}, nil)
	dropUnused(f)
}

// dropUnused removes imports that are not used any more: they would be
// mistakes of their own.
func dropUnused(f *ast.File) {
	used := map[ast.Node]bool{}
	ast.Walk(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			used[id.Node] = true
		}
		return true
	}, nil)
	for _, d := range f.Decls {
		if imports, ok := d.(*ast.ImportDecl); ok {
			imports.Specs = slices.DeleteFunc(imports.Specs, func(s *ast.ImportSpec) bool { return !used[s] })
		}
	}
}

// isIncompleteText reports whether an error only says that a value is not known.
func isIncompleteText(r raised) bool {
	return slices.ContainsFunc([]string{"incomplete", "non-concrete", "required field missing", "cannot reference optional", "unresolved disjunction"},
		func(s string) bool { return strings.Contains(r.text, s) })
}

// lenientTree is what of a value is valid, as a tree.
func lenientTree(v cue.Value) any {
	if s, err := v.String(); err == nil {
		return s
	}
	if kind := v.IncompleteKind(); kind == cue.StructKind || kind == cue.BottomKind {
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
