package schema

import (
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// elements are what stands directly in e, by name or index: the fields of its
// struct literals and the elements of its lists. pos is where each begins.
func elements(e ast.Expr, each func(name string, pos token.Pos, value ast.Expr)) {
	for _, s := range structs(e) {
		for _, d := range s.Elts {
			if f, ok := d.(*ast.Field); ok {
				if name, _, err := ast.LabelName(f.Label); err == nil {
					each(name, f.Pos(), f.Value)
				}
			}
		}
	}
	if list, ok := e.(*ast.ListLit); ok {
		for i, x := range list.Elts {
			each(strconv.Itoa(i), x.Pos(), x)
		}
	}
}

// literalAt is what is written out at a path of a document, and where it
// begins, a field with its name; nil if it is computed or comes from elsewhere.
func literalAt(f *ast.File, path []string) (pos token.Pos, e ast.Expr) {
	e = &ast.StructLit{Elts: f.Decls}
	for _, name := range path {
		around := e
		e = nil
		elements(around, func(have string, at token.Pos, value ast.Expr) {
			if have == unquote(name) {
				pos, e = at, value
			}
		})
		if e == nil {
			return token.NoPos, nil
		}
	}
	return pos, e
}

// written gives the places of all that is written out below a top-level field
// of a document, by path below it.
func written(f *ast.File, name string) map[string]ir.Pos {
	places := map[string]ir.Pos{}
	var walk func(e ast.Expr, path string)
	walk = func(e ast.Expr, path string) {
		elements(e, func(name string, _ token.Pos, value ast.Expr) {
			below := strings.TrimPrefix(path+"."+name, ".")
			if pos := at(value.Pos(), below); pos.File != "" {
				places[below] = setPlace(pos)
			}
			walk(value, below)
		})
	}
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok && fieldName(field) == name {
			walk(field.Value, "")
		}
	}
	return places
}

// setPlace leaves out lines and columns in what --set gave.
func setPlace(p ir.Pos) ir.Pos {
	set, ok := strings.CutPrefix(p.File, "--set ")
	if !ok {
		return p
	}
	p = ir.Pos{File: p.File, Path: p.Path}
	if strings.HasSuffix(p.Path, set) || set == strings.TrimSuffix(strings.TrimPrefix(p.Path, "inputs."), ".value") {
		p.Path = ""
	}
	return p
}

// Written says where what stands at a path of the recipe was written, as
// "model.freeze.0", and whether it was: defaults and what is computed are not.
func (r *Recipe) Written(path string) (ir.Pos, bool) {
	pos, ok := r.places[path]
	return pos, ok
}

// Place is where what stands at a path of the recipe was written, or
// what is around it.
func (r *Recipe) Place(path string) ir.Pos {
	for p := path; p != ""; p = p[:max(0, strings.LastIndex(p, "."))] {
		if pos, ok := r.places[p]; ok {
			if pos.Path = path; pos.Line == 0 {
				pos = setPlace(pos)
			}
			return pos
		}
	}
	pos := r.Pos
	pos.Path = path
	return pos
}
