package schema

import (
	"fmt"
	"os"
	"path/filepath"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/encoding/json"
)

// modelSource is the document that a config.json is put into.
const modelSource = `package model

import "pipe.dev/layers/arch"

auto: arch.#Auto & {config: _}
`

// LoadModel gives the architecture of a Hugging Face model folder, which its
// config.json picks and sets up. Mistakes in it are Errors.
func LoadModel(dir string) (*Model, error) {
	name := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	config, err := json.Extract(name, data)
	if err != nil {
		return nil, err
	}
	dropNulls(config)
	root := "/pipe.model"
	s := &source{name: modulePath + "/model.cue", shown: name, abs: filepath.Join(root, "model.cue"), data: []byte(modelSource)}
	if s.file, err = parser.ParseFile(s.name, s.data); err != nil {
		return nil, err
	}
	ast.Walk(s.file, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok {
			if label, _, _ := ast.LabelName(f.Label); label == "config" {
				f.Value = config
				return false
			}
		}
		return true
	}, nil)
	e, err := evaluate(s, builtinRoot, nil)
	if err != nil {
		return nil, err
	}
	v := e.value.LookupPath(cue.ParsePath("auto.model"))
	tree, err := treeOf(v)
	if err != nil {
		return nil, err
	}
	c := &converter{places: newPlaces(e), root: v, name: "model"}
	m := c.model(tree)
	m.Name = filepath.Base(dir)
	return m, nil
}

// dropNulls removes fields that are null: "not set", in a config.json.
func dropNulls(e ast.Expr) {
	s, ok := e.(*ast.StructLit)
	if !ok {
		return
	}
	kept := s.Elts[:0]
	for _, d := range s.Elts {
		if f, ok := d.(*ast.Field); ok {
			if lit, ok := f.Value.(*ast.BasicLit); ok && lit.Value == "null" {
				continue
			}
			dropNulls(f.Value)
		}
		kept = append(kept, d)
	}
	s.Elts = kept
}
