package model

import (
	"encoding/json"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/schema"
)

// Folder is what a model's folder has of the model in a GGUF file: its config
// with every default, its tokenizer, and its weights by their paths. A
// vocabulary that makes no tokenizer.json is left out, which warn is told.
func Folder(path string, warn func(error)) (*convert.Model, error) {
	s, err := openGGUF(path)
	if err != nil {
		return nil, err
	}
	files, err := ggufFiles(path, s, warn)
	if err != nil {
		s.Close() // err is what matters
		return nil, err
	}
	paths := map[string]string{} // by name, {i} for an index
	for path, t := range s.GGUF.Tensors {
		paths[t.Name] = path
	}
	name := func(tensor string) (string, bool) {
		if s.Ignores(tensor) {
			return "", false
		}
		path, ok := paths[tensor]
		if !ok {
			path, ok = paths[schema.IndexTemplate(tensor)]
		}
		return strings.ReplaceAll(path, "{i}", schema.Index(tensor)), ok
	}
	for _, t := range s.Tensors() {
		if _, ok := name(t.Name); !ok && !s.Ignores(t.Name) {
			s.Close()
			return nil, &checkpoint.Error{File: path, Msg: "tensor " + t.Name + " is none that the architecture " + s.GGUF.Architecture + " has"}
		}
	}
	return &convert.Model{Checkpoint: s.Checkpoint, Name: name, Files: files}, nil
}

// ggufFiles are the config and the tokenizer.
func ggufFiles(path string, s *Source, warn func(error)) (map[string][]byte, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	files, err := tokenizer.GGUFFiles(path, f.Value)
	if err != nil {
		warn(err)
		files = map[string][]byte{}
	}
	config := map[string]any{"dtype": map[ir.DType]string{ir.F16: "float16", ir.BF16: "bfloat16"}[matrices(s)]}
	if config["dtype"] == "" {
		config["dtype"] = "float32"
	}
	for k, v := range s.Arch.Config {
		config[k] = v
	}
	for field, of := range s.GGUF.Fields { // whole ones among them, too, for programs that tell types apart
		n, ok := config[field].(json.Number)
		if x, err := n.Float64(); ok && of.Optional && err == nil && x == 0 {
			config[field] = nil // which is off
			continue
		}
		if ok && of.Type == "f32" && !strings.ContainsAny(n.String(), ".eE") {
			config[field] = json.Number(n.String() + ".0")
		}
	}
	for field, key := range map[string]string{"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"} {
		if id, ok := f.Value("tokenizer.ggml." + key + "_token_id").(uint32); ok {
			config[field] = id
		} else {
			config[field] = nil // rather than what programs take by default
		}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, err
	}
	files["config.json"] = append(text, '\n')
	return files, nil
}

// matrices is the type of the largest tensor.
func matrices(s *Source) ir.DType {
	var most checkpoint.Tensor
	for _, t := range s.Tensors() {
		if t.Bytes > most.Bytes {
			most = t
		}
	}
	return most.DType
}
