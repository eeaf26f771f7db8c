package model

import (
	"os"
	"path/filepath"
	"slices"

	"pipe.dev/executor/tokenizer"
	"pipe.dev/schema"
)

// Files are the files that what the model computes goes by: what says what it is, its weights, its
// adapter, and its tokenizer if that was read. Each is named once.
func (m *Model) Files() []string {
	var list []string
	for _, name := range []string{"config.json", schema.ModelFile, PicturesConfig} {
		file := filepath.Join(m.opt.Dir, name)
		if info, err := os.Stat(file); m.opt.Dir != "" && err == nil && info.Mode().IsRegular() {
			list = append(list, file)
		}
	}
	for _, t := range m.ckpt.Tensors() {
		list = append(list, t.File)
	}
	if m.adapter != nil {
		list = append(list, m.adapter.Files()...)
	}
	if m.tokenizer != nil {
		path := m.opt.Tokenizer
		if path == "" {
			path = m.opt.Dir
		}
		list = append(list, tokenizer.Files(path)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
