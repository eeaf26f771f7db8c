package model

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/gguf"
	"pipe.dev/kernels/cpu"
)

// changed writes a file again with other metadata or tensors.
func changed(t *testing.T, change func(pairs []gguf.Pair, tensors []gguf.Data) ([]gguf.Pair, []gguf.Data)) string {
	t.Helper()
	f, err := gguf.Open(ggufs + "llama_f16.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []gguf.Data
	for _, x := range f.Tensors {
		data, err := f.View(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, gguf.Data{Name: x.Name, Type: x.Type, Shape: x.Shape, Write: func(w io.Writer) error { _, err := w.Write(data); return err }})
	}
	pairs, tensors := change(slices.Clone(f.Metadata), tensors)
	var out bytes.Buffer
	if err := gguf.Write(&out, pairs, tensors); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// What is wrong with a model in a GGUF file is told in a line, with the names
// of the file.
func TestBadGGUF(t *testing.T) {
	set := func(key string, value any) func([]gguf.Pair, []gguf.Data) ([]gguf.Pair, []gguf.Data) {
		return func(p []gguf.Pair, d []gguf.Data) ([]gguf.Pair, []gguf.Data) {
			p = slices.DeleteFunc(p, func(x gguf.Pair) bool { return x.Key == key })
			if value != nil {
				p = append(p, gguf.Pair{Key: key, Value: value})
			}
			return p, d
		}
	}
	without := func(name string) func([]gguf.Pair, []gguf.Data) ([]gguf.Pair, []gguf.Data) {
		return func(p []gguf.Pair, d []gguf.Data) ([]gguf.Pair, []gguf.Data) {
			return p, slices.DeleteFunc(d, func(x gguf.Data) bool { return x.Name == name })
		}
	}
	for want, change := range map[string]func([]gguf.Pair, []gguf.Data) ([]gguf.Pair, []gguf.Data){
		"has no general.architecture in its metadata, which says what model it is":              set("general.architecture", nil),
		`is of the architecture "lama", which is not known in GGUF files (did you mean llama?)`: set("general.architecture", "lama"),
		"its metadata lack llama.block_count, the model's num_hidden_layers":                    set("llama.block_count", nil),
		"num_attention_heads: 4 does not divide hidden_size 50":                                 set("llama.embedding_length", uint32(50)),
		`hidden_size: want a whole number, have "x"`:                                            set("llama.embedding_length", "x"),
		`has no tensor "token_embd.weight"`:                                                     without("token_embd.weight"),
		`no tensor "blk.1.ffn_up.weight" of shape [80 48]`:                                      without("blk.1.ffn_up.weight"),
		`extra tensor "stray", F32[2], which nothing wants`: func(p []gguf.Pair, d []gguf.Data) ([]gguf.Pair, []gguf.Data) {
			return p, append(d, gguf.Data{Name: "stray", Type: gguf.F32, Shape: []int64{2}, Write: func(w io.Writer) error { _, err := w.Write(make([]byte, 8)); return err }})
		},
	} {
		if err := opened(t, changed(t, change)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if err := opened(t, changed(t, func(p []gguf.Pair, d []gguf.Data) ([]gguf.Pair, []gguf.Data) { return p, d })); err != nil {
		t.Error(err)
	}
}

// opened opens a model and proves its headers.
func opened(t *testing.T, file string) error {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m, err := Open(Options{Name: "test", Dir: file, Backend: be, Compile: compiled(t, be)})
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := m.Forward(1, 4, nil); err != nil {
		return err
	}
	return m.prove()
}
