package schema

import (
	"strings"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	pipe "pipe.dev"
)

// archFile has the tables of architectures, whose package imports all of them. Most
// of what it takes to open a model would be to read them, so what it does not pick is left out.
const archFile = "layers/arch/arch.cue"

// archPackage is its package.
const archPackage = modulePath + "/layers/arch"

// architectures is archFile as it is embedded.
type architectures struct {
	text    []byte
	imports []archImport
	rows    []archRow
	aliases map[string]string // what other tables call the label of a row
}

// archImport is a package that archFile imports.
type archImport struct {
	name     string // in the file
	from, to int    // where it stands
}

// archRow is a field of a table that mentions packages.
type archRow struct {
	label    string
	from, to int // where its value stands
	packages map[string]bool
}

var readArchitectures = sync.OnceValues(func() (*architectures, error) {
	text, err := pipe.CUE.ReadFile(archFile)
	if err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(builtinName(archFile), text)
	if err != nil {
		return nil, err
	}
	a := &architectures{text: text, aliases: map[string]string{}}
	for s := range f.ImportSpecs() {
		path := unquote(s.Path.Value)
		a.imports = append(a.imports, archImport{path[strings.LastIndexByte(path, '/')+1:], s.Pos().Offset(), s.End().Offset()})
	}
	for _, d := range f.Decls {
		if table, ok := d.(*ast.Field); ok {
			a.table(table.Value)
		}
	}
	return a, nil
})

// table adds the rows of a table: fields that are quoted and mention packages.
func (a *architectures) table(value ast.Expr) {
	s, ok := value.(*ast.StructLit)
	if !ok {
		return
	}
	for _, d := range s.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		label, quoted := f.Label.(*ast.BasicLit)
		if !quoted {
			continue
		}
		if alias, ok := f.Value.(*ast.BasicLit); ok {
			a.aliases[unquote(label.Value)] = unquote(alias.Value)
		}
		if packages := a.mentioned(f.Value); len(packages) > 0 {
			a.rows = append(a.rows, archRow{unquote(label.Value), f.Value.Pos().Offset(), f.Value.End().Offset(), packages})
		}
	}
}

// mentioned are the packages of an expression.
func (a *architectures) mentioned(e ast.Expr) map[string]bool {
	found := map[string]bool{}
	ast.Walk(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			for _, p := range a.imports {
				if p.name == id.Name {
					found[id.Name] = true
				}
			}
		}
		return true
	}, nil)
	return found
}

// narrowed is the file with the rows that texts pick; the value of another is 0, so that
// it is known and fits no model. All stands where it stood.
func (a *architectures) narrowed(texts map[string]bool) []byte {
	out := append([]byte(nil), a.text...)
	kept := map[string]bool{}
	for _, r := range a.rows {
		if !texts[r.label] {
			blank(out[r.from:r.to])
			out[r.from] = '0'
			continue
		}
		for p := range r.packages {
			kept[p] = true
		}
	}
	for _, p := range a.imports {
		if !kept[p.name] {
			blank(out[p.from:p.to])
		}
	}
	return out
}

// blank makes spaces of everything but ends of lines.
func blank(b []byte) {
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
}

// narrow are the tables of architectures with the rows that texts of the document pick, as of one that is made for a
// config.json or a GGUF file, which say what they are in so many words.
func (e *evaluation) narrow() ([]byte, error) {
	a, err := readArchitectures()
	if err != nil {
		return nil, err
	}
	texts := map[string]bool{}
	ast.Walk(e.source.file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok {
			text := unquote(lit.Value)
			texts[text] = true
			if other, ok := a.aliases[text]; ok {
				texts[other] = true
			}
		}
		return true
	}, nil)
	return a.narrowed(texts), nil
}
