package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// documentFields are the top-level fields of a file that hold structs.
func documentFields(f *ast.File) []*ast.Field {
	var out []*ast.Field
	for _, d := range f.Decls {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		name, isIdent, err := ast.LabelName(field.Label)
		if err != nil || isIdent && strings.HasPrefix(name, "#") || isIdent && strings.HasPrefix(name, "_") {
			continue
		}
		if len(structs(field.Value)) > 0 {
			out = append(out, field)
		}
	}
	return out
}

// member finds the field called name in the structs that e unifies, or what
// stands for the element of a list that has the number name.
func member(e ast.Expr, name string) *ast.Field {
	if list, i := element(e, name); list != nil {
		return &ast.Field{Label: ast.NewString(name), Value: list.Elts[i]}
	}
	if all := allMembers(e, name); len(all) > 0 {
		return all[0]
	}
	return nil
}

// allMembers finds the fields called name in the structs that e unifies: a field
// may be written several times.
func allMembers(e ast.Expr, name string) []*ast.Field {
	var out []*ast.Field
	for _, s := range structs(e) {
		for _, d := range s.Elts {
			if f, ok := d.(*ast.Field); ok {
				if label, _, err := ast.LabelName(f.Label); err == nil && label == name {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// element finds the element of a list that is written out; nil if there is none
// of that number.
func element(e ast.Expr, name string) (*ast.ListLit, int) {
	list, ok := e.(*ast.ListLit)
	i, err := strconv.Atoi(name)
	if !ok || err != nil || i < 0 || i >= len(list.Elts) {
		return nil, 0
	}
	if _, open := list.Elts[i].(*ast.Ellipsis); open {
		return nil, 0
	}
	return list, i
}

// members lists the names of the fields in the structs that e unifies.
func members(e ast.Expr) []string {
	var out []string
	for _, s := range structs(e) {
		for _, d := range s.Elts {
			if f, ok := d.(*ast.Field); ok {
				if label, _, err := ast.LabelName(f.Label); err == nil {
					out = append(out, label)
				}
			}
		}
	}
	return out
}

// declaredInputs are the inputs of the pipeline in f, by name.
func declaredInputs(f *ast.File) map[string]*ast.Field {
	out := map[string]*ast.Field{}
	for _, doc := range documentFields(f) {
		for _, inputs := range allMembers(doc.Value, "inputs") {
			for _, name := range members(inputs.Value) {
				if out[name] == nil {
					out[name] = member(inputs.Value, name)
				}
			}
		}
	}
	return out
}

// setInput gives an input's value, which is read by the type it declares.
func (s setting) setInput(in *ast.Field) *Error {
	kind := ""
	if t := member(in.Value, "type"); t != nil {
		if lit, ok := t.Value.(*ast.BasicLit); ok {
			kind = strings.Trim(lit.Value, `"`)
		}
	}
	value, err := s.typed(kind)
	if err != nil {
		return err
	}
	if old := member(in.Value, "value"); old != nil {
		old.Value = override(old.Value, value)
		return nil
	}
	list := structs(in.Value)
	if len(list) == 0 {
		return s.errorf("", "the input is not written as a struct, so its value can't be set")
	}
	list[0].Elts = append(list[0].Elts, &ast.Field{Label: ast.NewIdent("value"), Value: value})
	return nil
}

// typed is the value for an input of a type. Text stays as it is typed, but
// for a string in quotes.
func (s setting) typed(kind string) (ast.Expr, *Error) {
	value := s.literal()
	lit, _ := value.(*ast.BasicLit)
	quoted := lit != nil && lit.Kind == token.STRING && !strings.HasPrefix(lit.Value, "'")
	switch kind {
	case "text", "model", "tensor":
		if !quoted {
			value = s.quoted()
		}
		return value, nil
	case "list":
		if _, ok := value.(*ast.ListLit); !ok {
			return nil, s.errorf("", `want a list, as ["a", "b"], have %s`, s.value)
		}
		return value, nil
	case "int", "float", "bool":
		want := map[string]string{"int": "a whole number", "float": "a number", "bool": "true or false"}[kind]
		if !fits(value, kind) {
			return nil, s.errorf("", "want %s, have %s", want, orEmpty(s.value))
		}
		return value, nil
	}
	if value == nil {
		value = s.quoted()
	}
	return value, nil
}

func orEmpty(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// fits reports whether a literal is of an input's type.
func fits(e ast.Expr, kind string) bool {
	if u, ok := e.(*ast.UnaryExpr); ok {
		e = u.X
		if kind == "bool" {
			return false
		}
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return false
	}
	switch kind {
	case "int":
		return lit.Kind == token.INT
	case "float":
		return lit.Kind == token.INT || lit.Kind == token.FLOAT
	}
	return lit.Kind == token.TRUE || lit.Kind == token.FALSE
}

// find is the field at a path inside the one document of the file, or from
// the file's top; nil if the file does not write it.
func (s setting) find(f *ast.File, path []string) *ast.Field {
	if len(path) == 0 {
		return nil
	}
	descend := func(field *ast.Field, path []string) *ast.Field {
		for _, name := range path {
			if field == nil {
				return nil
			}
			field = member(field.Value, name)
		}
		return field
	}
	docs := documentFields(f)
	if len(docs) == 1 {
		if field := descend(docs[0], path); field != nil {
			return field
		}
	}
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			if name, _, err := ast.LabelName(field.Label); err == nil && name == path[0] {
				if field = descend(field, path[1:]); field != nil {
					return field
				}
			}
		}
	}
	return nil
}

// add writes a field that the document leaves out, at least its first part
// being written: a single unknown name is no path but a mistake.
func (s setting) add(f *ast.File, path []string, value ast.Expr, inputs map[string]*ast.Field) *Error {
	docs := documentFields(f)
	var to *ast.Field
	for _, doc := range docs {
		if name, _, _ := ast.LabelName(doc.Label); name == path[0] && len(path) > 1 {
			to, path = doc, path[1:]
			break
		}
	}
	if to == nil && len(docs) == 1 && (len(inputs) == 0 || len(path) > 1 && member(docs[0].Value, path[0]) != nil) {
		to = docs[0]
	}
	if to == nil {
		return s.unknown(inputs)
	}
	for len(path) > 1 {
		next := member(to.Value, path[0])
		if next == nil {
			break
		}
		if _, list := next.Value.(*ast.ListLit); !list && len(structs(next.Value)) == 0 {
			break
		}
		to, path = next, path[1:]
	}
	if of, _, _ := ast.LabelName(to.Label); of == "settings" {
		var names []string
		for _, x := range structs(to.Value) {
			for _, e := range x.Elts {
				if field, ok := e.(*ast.Field); ok {
					name, _, _ := ast.LabelName(field.Label)
					names = append(names, name)
				}
			}
		}
		return s.errorf(Suggest(path[0], names), "settings of the document are %s", strings.Join(names, ", "))
	}
	pos := value.Pos() // so that a field that may not be there is told to be this setting's
	label := func(name string) ast.Label {
		return &ast.BasicLit{ValuePos: pos, Kind: token.STRING, Value: strconv.Quote(name)}
	}
	for i := len(path) - 1; i > 0; i-- {
		value = ast.NewStruct(&ast.Field{Label: label(path[i]), Value: value})
	}
	list := structs(to.Value)
	if l, ok := to.Value.(*ast.ListLit); ok {
		return s.errorf("", "%s is no element of the list, which has %d", path[0], len(l.Elts))
	}
	if len(list) == 0 {
		return s.unknown(inputs)
	}
	last := list[len(list)-1]
	last.Elts = append(last.Elts, &ast.Field{Label: label(path[0]), Value: value})
	return nil
}

func (s setting) unknown(inputs map[string]*ast.Field) *Error {
	names := slices.Sorted(maps.Keys(inputs))
	if len(names) == 0 {
		return s.errorf("", "the document has no such field and no inputs")
	}
	return s.errorf(Suggest(s.name, names), "%s", fmt.Sprintf("is no input; the document has %s", strings.Join(names, ", ")))
}

// samples are values of the types of inputs, for documents that are checked
// without their inputs.
var samples = map[string]string{"text": "", "model": "model", "tensor": "tensor.npy", "int": "1", "float": "1", "bool": "false", "list": "[]"}

// fillInputs gives the inputs that have no value one of their type.
func fillInputs(f *ast.File) {
	for name, in := range declaredInputs(f) {
		t := member(in.Value, "type")
		if t == nil || member(in.Value, "value") != nil {
			continue
		}
		if lit, ok := t.Value.(*ast.BasicLit); ok {
			if sample, ok := samples[strings.Trim(lit.Value, `"`)]; ok {
				_ = setting{name, sample}.setInput(in) // a mistake in the input is told by what follows
			}
		}
	}
}
