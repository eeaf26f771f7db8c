package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"

	"pipe.dev/compiler/ir"
)

// modelSource is the document that a config.json is put into.
const modelSource = `package model

import "pipe.dev/layers/arch"

auto: arch.#Auto & {config: _}
`

// classSource is the document of a config.json that names a class instead of a
// model_type.
var classSource = strings.Replace(modelSource, "#Auto", "#AutoClass", 1)

// ModelFile is the document of a folder without config.json: it holds the model.
const ModelFile = "model.cue"

// LoadModel gives the architecture of a model folder: of a Hugging Face folder the
// one that its config.json picks and sets up, of any other the one that stands
// in its model.cue. Mistakes in them are Errors.
func LoadModel(dir string) (*Model, error) { return LoadModelAs(dir, "") }

// LoadModelAs gives another model of a Hugging Face folder: what layers/arch (#As) has under the
// name as for its model_type, of the same weights. "" is the model itself.
func LoadModelAs(dir, as string) (*Model, error) {
	defer relax()()
	name := filepath.Join(dir, "config.json")
	if _, err := os.Stat(name); as == "" && errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, ModelFile)); err == nil {
			return loadModelFile(filepath.Join(dir, ModelFile))
		}
	}
	config, err := readConfig(name)
	if err != nil {
		return nil, err
	}
	m, err := modelOf(name, config, as)
	if err != nil {
		return nil, err
	}
	m.Name = filepath.Base(dir)
	return m, nil
}

// loadModelFile gives the only model in a document.
func loadModelFile(name string) (*Model, error) {
	d, err := Load(name, Options{Unset: true})
	if err != nil {
		return nil, err
	}
	if len(d.Models) != 1 {
		return nil, Errors{{Pos: ir.Pos{File: name}, Msg: fmt.Sprintf("holds %d models, want one", len(d.Models)), Hint: "write NAME: op.#Model & {...}"}}
	}
	return d.Models[0], nil
}

// modelOf gives the architecture that a config picks and sets up, or another one of the same
// weights by its name. name is the file's, for messages.
func modelOf(name string, config *ast.StructLit, as string) (*Model, error) {
	text := modelSource
	if as != "" {
		text = strings.Replace(modelSource, "#Auto & {config: _", fmt.Sprintf("#Other & {as: %q, config: _", as), 1)
	} else if member(config, "model_type") == nil && member(config, "_class_name") != nil {
		text = classSource
	}
	s := &source{
		name: modulePath + "/model.cue", abs: filepath.Join(virtual("pipe.model"), "model.cue"), data: []byte(text),
		shown: name, config: config,
	}
	s.fill = func(f *ast.File) {
		ast.Walk(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if ok && fieldName(field) == "config" {
				field.Value = config
				return false
			}
			return true
		}, nil)
	}
	var err error
	if s.file, err = parser.ParseFile(s.name, s.data); err != nil {
		return nil, err
	}
	s.fill(s.file)
	e, err := evaluate(s, nil)
	if err != nil {
		return nil, err
	}
	v := e.value.LookupPath(cue.ParsePath("auto.model"))
	tree, err := treeOf(v)
	if err != nil {
		return nil, err
	}
	c := &converter{places: newPlaces(e), root: v, name: "model"}
	return c.model(tree), nil
}

// readConfig reads a JSON object as a CUE struct.
func readConfig(name string) (*ast.StructLit, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	fail := func(at int, format string, args ...any) error {
		return Errors{{Pos: placeAt(name, data, max(0, min(at, len(data)))), Msg: fmt.Sprintf(format, args...)}}
	}
	if at := invalidUTF8(data); at >= 0 {
		return nil, fail(at, "byte 0x%02x is not UTF-8 text", data[at])
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(any)); errors.As(err, &syntax) {
		return nil, fail(int(syntax.Offset)-1, "JSON: %v", syntax)
	}
	e, err := cuejson.Extract(name, data)
	if err != nil {
		return nil, fail(0, "%s", firstLine(err.Error()))
	}
	config, ok := e.(*ast.StructLit)
	if !ok {
		return nil, fail(0, "want a JSON object")
	}
	dropNulls(config)
	if f := member(config, "quantization_config"); f != nil {
		if fact, hint := unreadable(f.Value); fact != "" {
			return nil, Errors{{Pos: at(f.Value.Pos(), "quantization_config"), Msg: fact, Hint: hint}}
		}
		config.Elts = slices.DeleteFunc(config.Elts, func(d ast.Decl) bool { return d == ast.Decl(f) })
	}
	return config, nil
}

// unreadable says what of a quantization_config keeps weights from being read;
// "" is nothing. How they lie in the checkpoint is seen there.
func unreadable(e ast.Expr) (fact, hint string) {
	text := func(name string) string {
		if m := member(e, name); m != nil {
			return strings.Trim(exprText(m.Value), `"`)
		}
		return ""
	}
	hint = "use the model in bf16, f16 or f32"
	switch method := text("quant_method"); method {
	case "fp8", "fbgemm_fp8", "compressed-tensors":
	case "gptq", "awq":
		switch {
		case text("bits") != "4":
			return fmt.Sprintf("weights of %s of %s bits are not read, only of 4", method, text("bits")), hint
		case method == "gptq" && text("checkpoint_format") != "" && text("checkpoint_format") != "gptq":
			return fmt.Sprintf("weights of GPTQ in the form %q are not read", text("checkpoint_format")), hint
		case method == "awq" && text("version") != "" && !strings.EqualFold(text("version"), "gemm"):
			return fmt.Sprintf("weights of AWQ in the form %q are not read, only gemm", text("version")), hint
		}
	default:
		return fmt.Sprintf("weights that are quantised (%q) are not read", method), hint
	}
	return "", ""
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
