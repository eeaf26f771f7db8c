package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// setting is one --set NAME=VALUE.
type setting struct {
	name  string
	value string
}

// file is the name that positions of the setting's value carry.
func (s setting) file() string { return "--set " + s.name }

func (s setting) errorf(hint, format string, args ...any) *Error {
	return &Error{Pos: ir.Pos{File: s.file()}, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// applySettings changes the syntax tree of a document as if the values had
// been written there: unification can't override a value. What results is
// validated as any document is.
func applySettings(f *ast.File, set []string) ([]setting, Errors) {
	var settings []setting
	var errs Errors
	for _, text := range set {
		name, value, ok := strings.Cut(text, "=")
		s := setting{name, value}
		if !ok || name == "" {
			errs = append(errs, &Error{Pos: ir.Pos{File: "--set " + text}, Msg: "want NAME=VALUE"})
			continue
		}
		if at := invalidUTF8([]byte(value)); at >= 0 {
			errs = append(errs, s.errorf("", "byte 0x%02x is not UTF-8 text", value[at]))
			continue
		}
		settings = slices.DeleteFunc(settings, func(earlier setting) bool { return earlier.name == name })
		settings = append(settings, s)
	}
	for _, s := range settings {
		if err := s.apply(f); err != nil {
			errs = append(errs, err)
		}
	}
	settle(f)
	return settings, errs
}

// apply sets an input's value if the document declares one of the name, else
// the field at a path.
func (s setting) apply(f *ast.File) *Error {
	inputs := declaredInputs(f)
	if in := inputs[s.name]; in != nil {
		return s.setInput(in)
	}
	path, err := s.path()
	if err != nil {
		return err
	}
	value := s.literal()
	if value == nil {
		value = s.quoted()
	}
	if target := s.find(f, path); target != nil {
		if of := s.find(f, path[:len(path)-1]); of != nil {
			if list, i := element(of.Value, path[len(path)-1]); list != nil {
				list.Elts[i] = override(list.Elts[i], value)
				return nil
			}
		}
		target.Value = override(target.Value, value)
		return nil
	}
	return s.add(f, path, value, inputs)
}

// path is the setting's name as a path of fields; numbers are elements of lists,
// as data.train.0.files or data.train[0].files.
func (s setting) path() ([]string, *Error) {
	p := cue.ParsePath(indices.ReplaceAllString(s.name, "[$1]"))
	if p.Err() != nil {
		return nil, s.errorf("", "is neither an input nor a path of fields, as nodes.reply.max_tokens")
	}
	var names []string
	for _, sel := range p.Selectors() {
		switch sel.LabelType() {
		case cue.StringLabel:
			names = append(names, sel.Unquoted())
		case cue.IndexLabel:
			names = append(names, sel.String())
		default:
			return nil, s.errorf("", "%s is no name of a field", sel)
		}
	}
	return names, nil
}

// indices are the numbers in a path.
var indices = regexp.MustCompile(`\.(\d+)\b`)

// literal is the value as a CUE literal, or nil if it is none.
func (s setting) literal() ast.Expr {
	e, err := parser.ParseExpr(s.file(), s.value)
	if err != nil || !isLiteral(e) {
		return nil
	}
	return e
}

// quoted is the value as text.
func (s setting) quoted() ast.Expr {
	e, err := parser.ParseExpr(s.file(), literal.String.Quote(s.value))
	if err != nil {
		return ast.NewString(s.value) // without a place
	}
	return e
}

// isLiteral reports whether e is a value without references.
func isLiteral(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.UnaryExpr:
		_, number := x.X.(*ast.BasicLit)
		return number && (x.Op == token.SUB || x.Op == token.ADD)
	case *ast.ListLit:
		for _, elt := range x.Elts {
			if !isLiteral(elt) {
				return false
			}
		}
		return true
	case *ast.StructLit:
		for _, d := range x.Elts {
			f, ok := d.(*ast.Field)
			if !ok || !isLiteral(f.Value) {
				return false
			}
		}
		return true
	}
	return false
}

// override is what stands in place of old so that it has the given value:
// bounds and types stay, a value is replaced.
func override(old, value ast.Expr) ast.Expr {
	if b, ok := old.(*ast.BinaryExpr); ok && b.Op == token.AND && !isConstraint(old) {
		switch {
		case isConstraint(b.X):
			return and(b.X, override(b.Y, value))
		case isConstraint(b.Y):
			return and(override(b.X, value), b.Y)
		}
	}
	if !isConstraint(old) {
		return value
	}
	return and(old, value)
}

func and(x, y ast.Expr) ast.Expr {
	return &ast.BinaryExpr{X: &ast.ParenExpr{X: x}, Op: token.AND, Y: y}
}

// settle gives every input of a pipeline that has a default that default as
// its value. As a default it would meet those of the stages it configures, and
// two different defaults are no value.
func settle(f *ast.File) {
	for _, in := range declaredInputs(f) {
		if v := member(in.Value, "value"); v != nil {
			if d := defaultOf(v.Value); d != nil {
				v.Value = and(v.Value, d)
			}
		}
	}
}

// defaultOf is the literal that a disjunction marks as its default, or nil.
func defaultOf(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.ParenExpr:
		return defaultOf(x.X)
	case *ast.UnaryExpr:
		if x.Op == token.MUL && isLiteral(x.X) {
			return x.X
		}
	case *ast.BinaryExpr:
		if x.Op == token.OR {
			if d := defaultOf(x.X); d != nil {
				return d
			}
			return defaultOf(x.Y)
		}
	}
	return nil
}

// isConstraint reports whether e allows several values.
func isConstraint(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BinaryExpr:
		return x.Op == token.OR || x.Op == token.AND && isConstraint(x.X) && isConstraint(x.Y)
	case *ast.ParenExpr:
		return isConstraint(x.X)
	case *ast.UnaryExpr:
		return x.Op != token.SUB && x.Op != token.ADD && x.Op != token.NOT
	case *ast.Ident:
		switch x.Name {
		case "int", "float", "number", "string", "bool", "bytes", "_", "uint", "null":
			return true
		}
	case *ast.ListLit:
		return slices.ContainsFunc(x.Elts, func(e ast.Expr) bool { _, open := e.(*ast.Ellipsis); return open })
	}
	return false
}
