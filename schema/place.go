package schema

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// label is where a field is written.
type label struct {
	name       string
	field      *ast.Field
	start, end int // offsets of the whole field in its file
}

// labels lists the fields of a file in the order of their starts.
type labels []label

// places finds where the values of an evaluated document were written.
type places struct {
	document *ast.File
	files    map[string]*ast.File
	index    map[string]labels
}

// newPlaces takes the labels of the document from before --set changed it.
func newPlaces(e *evaluation) *places {
	return &places{document: e.source.file, files: e.files, index: map[string]labels{e.source.name: e.source.labels}}
}

func labelsOf(f *ast.File) labels {
	var list labels
	ast.Walk(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Pos().IsValid() {
			if name, _, err := ast.LabelName(field.Label); err == nil {
				list = append(list, label{name, field, field.Pos().Offset(), field.End().Offset()})
			}
		}
		return true
	}, nil)
	return list
}

func (p *places) labels(file string) labels {
	if list, ok := p.index[file]; ok {
		return list
	}
	var list labels
	if f := p.files[file]; f != nil {
		list = labelsOf(f)
	}
	p.index[file] = list
	return list
}

// field is the innermost field called name around pos, or nil.
func (p *places) field(name string, pos token.Pos) *ast.Field {
	var found *ast.Field
	for _, l := range p.labels(pos.Filename()) {
		if l.start <= pos.Offset() && pos.Offset() <= l.end && l.name == name {
			found = l.field
		}
	}
	return found
}

// fieldOf is the innermost field around pos, if it is the one that path names.
func (p *places) fieldOf(path []string, pos token.Pos) *ast.Field {
	if l := p.innermost(pos); l != nil && l.name == labelOf(path) {
		return l.field
	}
	return nil
}

// written returns the field of v, whose last selector is name: in a file of
// the user if it stands in one, else in the built-in module.
func (p *places) written(v cue.Value, name string) *ast.Field {
	var builtin *ast.Field
	try := func(pos token.Pos) *ast.Field {
		f := p.field(name, pos)
		switch {
		case f == nil:
		case !isBuiltin(pos.Filename()):
			return f
		case builtin == nil || isLanguage(builtin.Pos().Filename()):
			builtin = f
		}
		return nil
	}
	for _, pos := range conjuncts(v) {
		if f := try(pos); f != nil {
			return f
		}
	}
	return builtin
}

// isLanguage reports whether a file defines ops, stages or recipes.
func isLanguage(file string) bool { return strings.HasPrefix(file, modulePath+"/schema/") }

// conjuncts are the positions of all expressions that make v. Value.Expr would evaluate
// each of them alone, which takes longer than the whole document took.
func conjuncts(v cue.Value) []token.Pos {
	var out []token.Pos
	if pos := v.Pos(); pos.IsValid() {
		out = append(out, pos)
	}
	if v.Core().V == nil {
		return out
	}
	for c := range v.Core().V.LeafConjuncts() {
		out = operands(out, c.Source())
	}
	return out
}

// operands appends the place of a field or an expression, and of what it unifies.
func operands(to []token.Pos, n ast.Node) []token.Pos {
	if n == nil || !n.Pos().IsValid() {
		return to
	}
	to = append(to, n.Pos())
	switch x := n.(type) {
	case *ast.Field:
		return operands(to, x.Value)
	case *ast.ParenExpr:
		return operands(to, x.X)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			return operands(operands(to, x.X), x.Y)
		}
	}
	return to
}

func isBuiltin(file string) bool { return strings.HasPrefix(file, modulePath+"/") }

// at is the place of a token position.
func at(pos token.Pos, path string) ir.Pos {
	p := pos.Position()
	return ir.Pos{File: p.Filename, Line: p.Line, Col: p.Column, Path: path}
}

// fieldsOf gives the places of the fields written directly in f's value.
func fieldsOf(f *ast.Field, path string) map[string]ir.Pos {
	out := map[string]ir.Pos{}
	if f == nil {
		return out
	}
	for _, s := range structs(f.Value) {
		for _, d := range s.Elts {
			if inner, ok := d.(*ast.Field); ok {
				if name, _, err := ast.LabelName(inner.Label); err == nil {
					out[name] = at(inner.Pos(), path)
				}
			}
		}
	}
	return out
}

// structs are the struct literals that e unifies.
func structs(e ast.Expr) []*ast.StructLit {
	switch x := e.(type) {
	case *ast.StructLit:
		return []*ast.StructLit{x}
	case *ast.ParenExpr:
		return structs(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			return append(structs(x.X), structs(x.Y)...)
		}
	}
	return nil
}
