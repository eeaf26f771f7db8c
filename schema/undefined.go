package schema

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// undefinedPrefix begins the message of a reference to nothing.
const undefinedPrefix = "undefined: "

var (
	undefinedField = regexp.MustCompile(`^undefined field: (\S+)$`)
	notFound       = regexp.MustCompile(`^reference "([^"]+)" not found$`)
)

// undefined: an expression names what is not there.
func (d *diagnosis) undefined(f *finding, group []raised) bool {
	for _, r := range group {
		field, name := undefinedField.FindStringSubmatch(r.text), notFound.FindStringSubmatch(r.text)
		operand := strings.HasPrefix(r.format, "invalid operand")
		if field == nil && name == nil && !operand {
			continue
		}
		for _, pos := range r.pos {
			sel, id := d.places.reference(pos)
			if id == nil || d.isSchema(pos.Filename()) {
				continue
			}
			if d.selfReference(f, id, pos) {
				return true
			}
			if operand {
				if len(r.args) > 1 && typeNames[r.args[1]] != "" {
					f.Pos, f.at = d.place(pos, r.path), pos
					f.Msg = fmt.Sprintf("%s is %s, which has no fields", r.args[0], typeNames[r.args[1]])
					return true
				}
				continue
			}
			f.Pos = d.place(pos, r.path)
			f.at = pos
			switch {
			case name != nil:
				d.unknownName(f, name[1], pos)
			case sel != nil:
				f.Msg = undefinedPrefix + exprText(sel)
				f.Hint = Suggest(field[1], d.membersOf(sel.X))
			default:
				f.Msg = undefinedPrefix + field[1]
			}
			return true
		}
		if field != nil || name != nil { // not in the document's own text
			f.Msg, f.consequence = firstLine(r.text), true
			return true
		}
	}
	return false
}

// selfReference: a name means the field in which it stands, not a node.
func (d *diagnosis) selfReference(f *finding, id *ast.Ident, pos token.Pos) bool {
	l := d.places.innermost(pos)
	if l == nil || id.Node != l.field.Value || l.name != id.Name {
		return false
	}
	f.Pos = at(pos, f.Pos.Path)
	f.Msg = fmt.Sprintf("%s means this field itself", id.Name)
	f.Hint = fmt.Sprintf("name a node; if one is called %s, quote the field: %q: %s.out", id.Name, id.Name, id.Name)
	return true
}

// unknownName: an identifier that nothing in scope has.
func (d *diagnosis) unknownName(f *finding, name string, pos token.Pos) {
	f.Msg = undefinedPrefix + name
	if importPath := packageCalled(name); importPath != "" {
		f.Hint = fmt.Sprintf("import %q", importPath)
		return
	}
	f.Hint = Suggest(name, d.places.inScope(pos))
}

// packageCalled is the import path of the built-in package of a name, or "".
func packageCalled(name string) string {
	for _, dir := range packages() {
		if path.Base(dir) == name {
			return modulePath + "/" + dir
		}
	}
	return ""
}

// packages are the folders of the built-in module that can be imported.
func packages() []string {
	var out []string
	err := walkBuiltin(func(name string) error {
		if dir := path.Dir(name); strings.HasPrefix(dir, "schema/") || strings.HasPrefix(dir, "layers") {
			out = appendNew(out, dir)
		}
		return nil
	})
	if err != nil {
		return nil // the files are in the binary
	}
	slices.Sort(out)
	return out
}

// unknownImports finds imports below pipe.dev that are not there, and others
// that err is about.
func unknownImports(s *source, err error) Errors {
	var out Errors
	known := packages()
	for spec := range s.file.ImportSpecs() {
		name := unquote(spec.Path.Value)
		dir, ours := strings.CutPrefix(name, modulePath+"/")
		dir, _, _ = strings.Cut(dir, ":")
		if !ours && name != modulePath {
			if host, _, _ := strings.Cut(name, "/"); strings.Contains(host, ".") && strings.Contains(err.Error(), name) {
				out = append(out, &Error{Pos: at(spec.Path.Pos(), ""), Msg: fmt.Sprintf("can't import %s", name),
					Hint: "only pipe.dev and CUE's own packages are built in"})
			}
			continue
		}
		if slices.Contains(known, dir) {
			continue
		}
		e := &Error{Pos: at(spec.Path.Pos(), ""), Msg: fmt.Sprintf("there is no package %s", name)}
		if e.Hint = Suggest(dir, known); e.Hint != "" {
			e.Hint = strings.Replace(e.Hint, "did you mean ", "did you mean "+modulePath+"/", 1)
		} else {
			e.Hint = "there are " + modulePath + "/" + strings.Join(known, ", "+modulePath+"/")
		}
		out = append(out, e)
	}
	return out
}

// membersOf lists what can stand behind the dot of an expression.
func (d *diagnosis) membersOf(e ast.Expr) []string {
	if id, ok := e.(*ast.Ident); ok {
		if spec, ok := id.Node.(*ast.ImportSpec); ok {
			return d.definitionsIn(unquote(spec.Path.Value))
		}
	}
	f := d.places.target(e)
	if f == nil {
		return nil
	}
	return append(members(f.Value), fieldNames(d.value.LookupPath(cuePath(d.places.pathOf(f))))...)
}

// definitionsIn are the definitions of an imported package.
func (d *diagnosis) definitionsIn(importPath string) []string {
	importPath, _, _ = strings.Cut(importPath, ":")
	var out []string
	for name, f := range d.files {
		dir := path.Dir(name)
		if dir != importPath && modulePath+"/"+dir != importPath {
			continue
		}
		for _, decl := range f.Decls {
			if field, ok := decl.(*ast.Field); ok && strings.HasPrefix(fieldName(field), "#") {
				out = append(out, fieldName(field))
			}
		}
	}
	return out
}
