package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"

	"pipe.dev/compiler/ir"
)

// GGUFFile is what a file in the format GGUF says of the model in it.
type GGUFFile struct {
	Metadata map[string]any       `json:"metadata"` // numbers, texts, truth values; short lists of them
	Shapes   map[string][]int64   `json:"shapes"`   // of tensors, innermost axis last
	Values   map[string][]float32 `json:"values"`   // short tensors
}

// GGUF says how such files hold the models of an architecture.
type GGUF struct {
	Architecture string // general.architecture
	Fields       map[string]GGUFField
	Tensors      map[string]GGUFTensor // by path in the model, {i} for an index
	Ignore       []string              // patterns of names of tensors that no weight is made of
}

// GGUFField is a field of config.json with a key of the metadata of its own.
type GGUFField struct {
	Key      string
	Type     string // "u32", "f32", "bool", "text"
	Optional bool
}

// GGUFTensor is what a weight is called, and how its rows lie.
type GGUFTensor struct {
	Name  string
	Keep  bool   // it stays f32 whatever its matrices become
	Heads string // the field of config.json that counts the heads whose rows lie in pairs; "" if they don't
	// Plus is what files add to each element; Transposed says that they have rows
	// as columns, and Row that they lack its first axis, of size 1.
	Plus            float64
	Transposed, Row bool
}

const ggufSource = `package model

import "pipe.dev/layers/arch"

name: string
file: _
known: [for n, _ in arch.#GGUF {n}]
for n, t in arch.#GGUF if n == name {
	table: {architecture: t.architecture, fields: t.fields, tensors: t.tensors, ignore: t.ignore}
	read: t.#Read & {"file": file}
}
`

// LoadGGUF gives the architecture of a file, and how its weights are called.
// name is the file's, for messages.
func LoadGGUF(name string, f GGUFFile) (*Model, *GGUF, error) {
	defer relax()()
	fail := func(format string, args ...any) (*Model, *GGUF, error) {
		return nil, nil, Errors{{Pos: ir.Pos{File: name}, Msg: fmt.Sprintf(format, args...)}}
	}
	architecture, ok := f.Metadata["general.architecture"].(string)
	if !ok {
		return fail("has no general.architecture in its metadata, which says what model it is")
	}
	v, err := ggufEvaluate(ggufSource, map[string]any{"name": architecture, "file": f})
	if err != nil {
		return nil, nil, err
	}
	table, err := ggufTable(v.LookupPath(cue.ParsePath("table")))
	if err != nil {
		return nil, nil, err
	}
	if table == nil {
		var known []string
		if err := v.LookupPath(cue.ParsePath("known")).Decode(&known); err != nil {
			return nil, nil, err
		}
		slices.Sort(known)
		hint := Suggest(architecture, known)
		if hint == "" {
			hint = "there are " + strings.Join(known, ", ")
		}
		return nil, nil, Errors{{Pos: ir.Pos{File: name}, Msg: fmt.Sprintf("is of the architecture %q, which is not known in GGUF files", architecture), Hint: hint}}
	}
	for _, field := range slices.Sorted(maps.Keys(table.Fields)) {
		if of := table.Fields[field]; f.Metadata[of.Key] == nil && !of.Optional {
			return fail("its metadata lack %s, the model's %s", of.Key, field)
		}
	}
	var read struct {
		Config  map[string]any
		Missing []string
	}
	at := v.LookupPath(cue.ParsePath("read"))
	if err := at.Decode(&read); err != nil || at.Validate(cue.Concrete(true)) != nil {
		if err == nil {
			err = at.Validate(cue.Concrete(true))
		}
		return fail("its metadata make no config: %s", firstLine(err.Error()))
	}
	if len(read.Missing) > 0 {
		return fail("has no tensor %q", read.Missing[0])
	}
	for field, of := range table.Fields {
		if x := f.Metadata[of.Key]; x != nil {
			setField(read.Config, field, x)
		}
	}
	m, err := ggufModel(name, read.Config)
	return m, table, err
}

// setField sets the field at a path with dots.
func setField(config map[string]any, path string, x any) {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		config[first] = x
		return
	}
	inner, ok := config[first].(map[string]any)
	if !ok {
		inner = map[string]any{}
		config[first] = inner
	}
	setField(inner, rest, x)
}

// ggufModel makes a model of a config that is in no file of its own; what is
// wrong in it is told without lines.
func ggufModel(name string, config map[string]any) (*Model, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	e, err := cuejson.Extract(name, text)
	if err != nil {
		return nil, err
	}
	m, err := modelOf(name, e.(*ast.StructLit), "")
	errs, ok := err.(Errors)
	if !ok {
		if m != nil {
			m.Name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		}
		return m, err
	}
	for _, e := range errs {
		e.Pos.Line, e.Pos.Col = 0, 0
	}
	return nil, errs
}

// ggufEvaluate evaluates a text with fields of it set.
func ggufEvaluate(text string, set map[string]any) (cue.Value, error) {
	s := &source{name: modulePath + "/gguf.cue", abs: filepath.Join(virtual("pipe.model"), "gguf.cue"), data: []byte(text), shown: "gguf"}
	var err error
	if s.file, err = parser.ParseFile(s.name, s.data); err != nil {
		return cue.Value{}, err
	}
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.Field)
		if !ok || set[fieldName(f)] == nil {
			continue
		}
		data, err := json.Marshal(set[fieldName(f)])
		if err != nil {
			return cue.Value{}, err
		}
		if f.Value, err = cuejson.Extract(s.name, data); err != nil {
			return cue.Value{}, err
		}
	}
	e := &evaluation{source: s, files: map[string]*ast.File{s.name: s.file}}
	if err := e.build(); err != nil {
		return cue.Value{}, err
	}
	return e.value, nil
}

// ggufTable reads a table; nil if there is none.
func ggufTable(v cue.Value) (*GGUF, error) {
	if !v.Exists() {
		return nil, nil
	}
	t := &GGUF{}
	if err := v.Decode(t); err != nil {
		return nil, fmt.Errorf("pipe.dev/layers/arch: #GGUF: %s", firstLine(err.Error()))
	}
	return t, nil
}

var number = regexp.MustCompile(`\b\d+\b`)

// Tensor is what the weight at a path is called, and how its rows lie.
func (g *GGUF) Tensor(path string) (GGUFTensor, bool) {
	if t, ok := g.Tensors[path]; ok {
		return t, true
	}
	t, ok := g.Tensors[IndexTemplate(path)]
	t.Name = strings.ReplaceAll(t.Name, "{i}", number.FindString(path))
	return t, ok
}

// Index is the first number of a name between dots, "" if it has none.
func Index(name string) string { return number.FindString(name) }

// IndexTemplate is a name with {i} for its first number between dots.
func IndexTemplate(name string) string {
	at := number.FindStringIndex(name)
	if at == nil {
		return name
	}
	return name[:at[0]] + "{i}" + name[at[1]:]
}

// Ignores reports whether no weight is made of a tensor.
func (g *GGUF) Ignores(tensor string) bool { return matchesAny(g.Ignore, tensor) }
