package schema

import (
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"
)

// reference is the selector whose name stands at pos, or that begins there,
// and the identifier that it begins with.
func (p *places) reference(pos token.Pos) (*ast.SelectorExpr, *ast.Ident) {
	f := p.files[pos.Filename()]
	if f == nil {
		return nil, nil
	}
	var sel *ast.SelectorExpr
	var id *ast.Ident
	ast.Walk(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.SelectorExpr:
			if samePos(x.Sel.Pos(), pos) {
				sel, id = x, root(x.X)
			}
		case *ast.Ident:
			if samePos(x.Pos(), pos) && id == nil {
				id = x
			}
		}
		return true
	}, nil)
	return sel, id
}

func samePos(a, b token.Pos) bool {
	return a.IsValid() && a.Offset() == b.Offset() && a.Filename() == b.Filename()
}

// root is the identifier that a chain of selectors begins with, or nil.
func root(e ast.Expr) *ast.Ident {
	switch x := e.(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return root(x.X)
	case *ast.IndexExpr:
		return root(x.X)
	}
	return nil
}

// target is the field that an expression names, or nil.
func (p *places) target(e ast.Expr) *ast.Field {
	switch x := e.(type) {
	case *ast.Ident:
		if f, ok := x.Node.(*ast.Field); ok {
			return f
		}
		if !x.Pos().IsValid() || x.Node == nil {
			return nil
		}
		for _, l := range p.labels(x.Pos().Filename()) {
			if l.field.Value == x.Node {
				return l.field
			}
		}
	case *ast.SelectorExpr:
		if f := p.target(x.X); f != nil {
			if name, _, err := ast.LabelName(x.Sel); err == nil {
				return member(f.Value, name)
			}
		}
	}
	return nil
}

// pathOf is the path of a field from the top of its file.
func (p *places) pathOf(f *ast.Field) []string {
	var out []string
	for _, l := range p.labels(f.Pos().Filename()) {
		if l.start <= f.Pos().Offset() && f.Pos().Offset() < l.end {
			out = append(out, l.name)
		}
		if l.field == f {
			break
		}
	}
	return out
}

// innermost is the innermost field around pos, or nil.
func (p *places) innermost(pos token.Pos) *label {
	if !pos.IsValid() {
		return nil
	}
	var found *label
	list := p.labels(pos.Filename())
	for i, l := range list {
		if l.start <= pos.Offset() && pos.Offset() < l.end {
			found = &list[i]
		}
	}
	return found
}

// inScope lists the names that an expression at pos may use.
func (p *places) inScope(pos token.Pos) []string {
	f := p.files[pos.Filename()]
	if f == nil {
		return nil
	}
	var out []string
	add := func(decls []ast.Decl) {
		for _, d := range decls {
			switch x := d.(type) {
			case *ast.Field:
				out = append(out, fieldName(x))
			case *ast.LetClause:
				out = append(out, x.Ident.Name)
			case *ast.ImportDecl:
				for _, spec := range x.Specs {
					out = append(out, importName(spec))
				}
			}
		}
	}
	add(f.Decls)
	ast.Walk(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.StructLit); ok && s.Pos().IsValid() && s.Pos().Offset() <= pos.Offset() && pos.Offset() < s.End().Offset() {
			add(s.Elts)
		}
		return true
	}, nil)
	return out
}

// importName is the name that an import has in its file.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	path := unquote(spec.Path.Value)
	return path[strings.LastIndexAny(path, "/:")+1:]
}

// fieldName is the label of a field, or "" if it is computed.
func fieldName(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return ""
	}
	return name
}

// exprText is an expression as it is written, on one line.
func exprText(e ast.Expr) string {
	b, err := format.Node(e)
	if err != nil {
		return ""
	}
	return firstLine(string(b))
}

// exprAt is the value of the innermost field around pos, as it is written.
func (p *places) exprAt(pos token.Pos) string {
	l := p.innermost(pos)
	if l == nil {
		return ""
	}
	switch l.field.Value.(type) {
	case *ast.StructLit, *ast.ListLit:
		return ""
	}
	return exprText(l.field.Value)
}
