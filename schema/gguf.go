package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
}

// GGUFValue is an entry of the metadata; one field is set.
type GGUFValue struct {
	U32  *uint32
	F32  *float32
	Bool *bool
	Text *string
}

// GGUFWritten is what a file of a model has besides its weights.
type GGUFWritten struct {
	Metadata map[string]GGUFValue
	Tensors  map[string][]float32
}

// Value is what an entry holds.
func (v GGUFValue) Value() any {
	switch {
	case v.U32 != nil:
		return *v.U32
	case v.F32 != nil:
		return *v.F32
	case v.Bool != nil:
		return *v.Bool
	case v.Text != nil:
		return *v.Text
	}
	return nil
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
	m, err := modelOf(name, e.(*ast.StructLit))
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

const ggufWriteSource = `package model

import "pipe.dev/layers/arch"

name: string
config: _
known: [for n, _ in arch.#GGUFByType {n}]
for type, a in arch.#GGUFByType if type == name for n, t in arch.#GGUF if n == a {
	table: {architecture: t.architecture, fields: t.fields, tensors: t.tensors, ignore: t.ignore}
	write: (t.#Write & {"config": config})
}
`

// WriteGGUF says how a file would hold a model that was made of a config.json.
func WriteGGUF(m *Model) (*GGUF, *GGUFWritten, error) {
	v, err := ggufEvaluate(ggufWriteSource, map[string]any{"name": m.Arch, "config": m.Config})
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
		return nil, nil, fmt.Errorf("%s: models of type %q can't be written as GGUF; there are %s", m.Name, m.Arch, strings.Join(known, ", "))
	}
	w := &GGUFWritten{}
	write := v.LookupPath(cue.ParsePath("write"))
	for path, to := range map[string]any{"metadata": &w.Metadata, "tensors": &w.Tensors} {
		if x := write.LookupPath(cue.ParsePath(path)); x.Exists() {
			if err := x.Decode(to); err != nil {
				return nil, nil, fmt.Errorf("%s: %s of a GGUF file: %s", m.Name, path, firstLine(err.Error()))
			}
		}
	}
	for field, of := range table.Fields {
		x := lookupField(m.Config, field)
		if x == nil {
			if !of.Optional {
				return nil, nil, fmt.Errorf("%s: config.json lacks %s, from which %s of a GGUF file comes", m.Name, field, of.Key)
			}
			continue
		}
		if _, given := w.Metadata[of.Key]; given {
			continue
		}
		value, err := ggufValue(of.Type, x)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %s: %w", m.Name, field, err)
		}
		if w.Metadata == nil {
			w.Metadata = map[string]GGUFValue{}
		}
		w.Metadata[of.Key] = value
	}
	return table, w, nil
}

func lookupField(config map[string]any, path string) any {
	first, rest, nested := strings.Cut(path, ".")
	inner, ok := config[first].(map[string]any)
	switch {
	case !nested:
		return config[first]
	case !ok:
		return nil
	}
	return lookupField(inner, rest)
}

// ggufValue is a field of config.json as metadata.
func ggufValue(kind string, x any) (v GGUFValue, err error) {
	n, isNumber := x.(json.Number)
	switch kind {
	case "u32":
		u, err := strconv.ParseUint(string(n), 10, 32)
		if err != nil || !isNumber {
			return v, fmt.Errorf("is %v, want a number without sign and of 32 bits", x)
		}
		w := uint32(u)
		v.U32 = &w
	case "f32":
		f, err := n.Float64()
		if err != nil || !isNumber || math.IsInf(float64(float32(f)), 0) {
			return v, fmt.Errorf("is %v, want a number", x)
		}
		w := float32(f)
		v.F32 = &w
	case "bool":
		w, ok := x.(bool)
		if !ok {
			return v, fmt.Errorf("is %v, want true or false", x)
		}
		v.Bool = &w
	default:
		w, ok := x.(string)
		if !ok {
			return v, fmt.Errorf("is %v, want a text", x)
		}
		v.Text = &w
	}
	return v, nil
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

const ggufPreSource = `package model

import "pipe.dev/layers/arch"

pre: arch.#GGUFPre
`

// GGUFPre is what files call a way to cut texts before the merges of bytes:
// regular expressions, "digits" for each digit alone, "words" for the expression
// of GPT-2.
func GGUFPre(cuts []string) (name string, ok bool, err error) {
	v, err := ggufEvaluate(ggufPreSource, nil)
	if err != nil {
		return "", false, err
	}
	var list []struct {
		Name string
		Cuts []string
	}
	if err := v.LookupPath(cue.ParsePath("pre")).Decode(&list); err != nil {
		return "", false, err
	}
	for _, p := range list {
		if slices.Equal(p.Cuts, cuts) {
			return p.Name, true, nil
		}
	}
	return "", false, nil
}
