package model

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/schema"
)

// short is how many elements a tensor, or a list of the metadata, has at most
// whose values may tell how a model is set up.
const short = 512

// IsGGUF reports whether a path is a file in the format GGUF.
func IsGGUF(path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "GGUF" || strings.HasSuffix(path, ".gguf")
}

// Source is the weights of a model, with the architecture that reads them.
type Source struct {
	*checkpoint.Checkpoint
	Arch    *schema.Model
	GGUF    *schema.GGUF // how a file in this format holds them; nil for a folder
	Ignores func(tensor string) bool
}

// OpenSource opens a model's folder, or file in the format GGUF, as far as the
// headers. If arch is given, it is the model, and path any weights.
func OpenSource(path string, arch *schema.Model) (*Source, error) {
	if arch != nil && path == "" {
		return &Source{Checkpoint: checkpoint.None(), Arch: arch, Ignores: arch.Ignores}, nil
	}
	if arch != nil {
		return openWeights(path, arch)
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, checkpoint.FileError(path, err)
	case st.IsDir():
		return openFolder(path)
	case IsGGUF(path):
		return openGGUF(path)
	}
	return nil, &checkpoint.Error{File: path, Msg: "is a file; a model is a folder with config.json, tokenizer.json and weights in safetensors, or a .gguf file"}
}

func openFolder(dir string) (*Source, error) {
	arch, err := schema.LoadModel(dir)
	if err != nil {
		return nil, err
	}
	return openWeights(dir, arch)
}

func openWeights(path string, arch *schema.Model) (*Source, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	if err := c.Unpack(); err != nil {
		c.Close() // err is what matters
		return nil, err
	}
	return &Source{Checkpoint: c, Arch: arch, Ignores: arch.Ignores}, nil
}

func openGGUF(path string) (*Source, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Source{}
	facts, err := FactsOf(f)
	if err == nil {
		s.Arch, s.GGUF, err = schema.LoadGGUF(path, facts)
	}
	if err == nil {
		s.Ignores = s.GGUF.Ignores
		s.Checkpoint, err = f.Checkpoint(s.forms())
	}
	if err != nil {
		f.Close() // err is what matters
		return nil, err
	}
	return s, nil
}

// Name is what the weight at a path is called.
func (s *Source) Name(path string) string {
	if s.GGUF == nil {
		return s.named(path)
	}
	if t, ok := s.GGUF.Tensor(path); ok {
		return t.Name
	}
	return path
}

// named is the name of a weight in a checkpoint that may write parts of it
// otherwise.
func (s *Source) named(path string) string {
	name := s.Checkpoint.Name(path, s.Arch.Prefixes)
	if _, ok := s.Checkpoint.Lookup(name); ok {
		return name
	}
	other := path
	for _, part := range slices.Sorted(maps.Keys(s.Arch.Aliases)) {
		other = strings.ReplaceAll(other, part, s.Arch.Aliases[part])
	}
	if found := s.Checkpoint.Name(other, s.Arch.Prefixes); other != path {
		if _, ok := s.Checkpoint.Lookup(found); ok {
			return found
		}
	}
	return name
}

// forms says how tensors lie in a file.
func (s *Source) forms() func(name string) checkpoint.Form {
	forms := map[string]checkpoint.Form{} // by name, {i} for an index
	for _, t := range s.GGUF.Tensors {
		f := checkpoint.Form{Plus: float32(t.Plus), Transposed: t.Transposed, Row: t.Row}
		if t.Heads != "" {
			f.Heads = HeadsOf(s.Arch, t.Heads)
		}
		forms[t.Name] = f
	}
	return func(name string) checkpoint.Form {
		if f, ok := forms[name]; ok {
			return f
		}
		return forms[schema.IndexTemplate(name)]
	}
}

// HeadsOf is a number of heads of a model's config.
func HeadsOf(m *schema.Model, field string) int {
	n, _ := m.Config[field].(json.Number)
	heads, _ := n.Int64() // a config that was validated has it
	return int(heads)
}

// vocabularyOf makes the tokenizer of a file: the one that it carries whole, if
// there is one, else of its vocabulary.
func vocabularyOf(path string) (*tokenizer.Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var t *tokenizer.Tokenizer
	if whole, ok := f.Value("tokenizer.huggingface.json").(string); ok {
		t, err = tokenizer.Parse(path+" (tokenizer.huggingface.json)", []byte(whole))
	} else {
		t, err = tokenizer.ParseGGUF(path, f.Value)
	}
	if err != nil {
		return nil, &TokenizerError{err}
	}
	return t, nil
}

// FactsOf is what a file says of its model.
func FactsOf(f *gguf.File) (schema.GGUFFile, error) {
	facts := schema.GGUFFile{Metadata: map[string]any{}, Shapes: map[string][]int64{}, Values: map[string][]float32{}}
	for _, p := range f.Metadata {
		if isShort(p.Value) && !strings.HasPrefix(p.Key, "tokenizer.") {
			facts.Metadata[p.Key] = p.Value
		}
	}
	for _, t := range f.Tensors {
		facts.Shapes[t.Name] = t.Shape
		if t.Type != gguf.F32 || len(t.Shape) != 1 || t.Shape[0] > short || strings.ContainsAny(t.Name, "0123456789") {
			continue
		}
		data, err := f.View(t.Name)
		if err != nil {
			return facts, err
		}
		if i := checkpoint.FirstNaN(ir.F32, data); i >= 0 {
			continue // told when it is read, if it is
		}
		facts.Values[t.Name] = tensorfile.Tensor{Type: ir.T(ir.F32, int(t.Shape[0])), Data: data}.Float32s()
	}
	return facts, nil
}

// isShort reports whether metadata are a text, or finite numbers and not many.
func isShort(x any) bool {
	v := reflect.ValueOf(x)
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0)
	case reflect.Slice:
		if v.Len() > short {
			return false
		}
		for i := range v.Len() {
			if !isShort(v.Index(i).Interface()) {
				return false
			}
		}
	}
	return true
}
