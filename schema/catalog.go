package schema

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	pipe "pipe.dev"
)

// catalog is what the built-in definitions of ops and stages say, read from
// their syntax: CUE validates documents, but does not tell which definition a
// node uses, nor which of its fields hold tokens.
type catalog struct {
	ops, stages map[string]definition // by the value of op or stage
}

// definition is one op or stage.
type definition struct {
	title string // "#RMSNorm"
	ports []port
}

// port is a field that holds a token, or several.
type port struct {
	name       string
	list, dict bool
	model      bool // the token is that of a model
}

// The files that define ops and stages.
var (
	opFiles    = []string{"schema/op/base.cue", "schema/op/ops.cue"}
	stageFiles = []string{"schema/pipeline/stages.cue"}
)

func newCatalog(files map[string]*ast.File) (*catalog, error) {
	c := &catalog{}
	var err error
	if c.ops, err = definitions(files, "op", opFiles); err != nil {
		return nil, err
	}
	c.stages, err = definitions(files, "stage", stageFiles)
	return c, err
}

// definitions reads those whose field key is a string.
func definitions(files map[string]*ast.File, key string, paths []string) (map[string]definition, error) {
	out := map[string]definition{}
	for _, path := range paths {
		f := files[modulePath+"/"+path]
		if f == nil {
			data, err := pipe.CUE.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if f, err = parser.ParseFile(path, data); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			title, _, err := ast.LabelName(field.Label)
			if err != nil || !strings.HasPrefix(title, "#") {
				continue
			}
			if name, def := readDefinition(field, key); name != "" {
				def.title = title
				out[name] = def
			}
		}
	}
	return out, nil
}

func readDefinition(field *ast.Field, key string) (string, definition) {
	var name string
	var def definition
	value := field.Value
	if alias, ok := value.(*ast.Alias); ok {
		value = alias.Expr
	}
	for _, s := range structs(value) {
		for _, d := range s.Elts {
			f, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			label, _, err := ast.LabelName(f.Label)
			if err != nil {
				continue
			}
			if lit, ok := f.Value.(*ast.BasicLit); ok && label == key {
				name = strings.Trim(lit.Value, `"`)
			}
			model := names(f.Value, "#ModelTok")
			if label != "out" && label != "outs" && (model || names(f.Value, "#Tok")) {
				_, list := f.Value.(*ast.ListLit)
				_, dict := f.Value.(*ast.StructLit)
				def.ports = append(def.ports, port{label, list, dict, model})
			}
		}
	}
	return name, def
}

// names reports whether the type of a field is a definition, a list or a struct of it.
func names(e ast.Expr, title string) bool {
	found := false
	ast.Walk(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == title {
			found = true
		}
		return !found
	}, nil)
	return found
}
