package schema

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed starter
var starter embed.FS

// starterFiles are what Init writes, and where each comes from. The module
// file makes CUE's own tools find the built-in module in their cache.
var starterFiles = []struct{ name, from string }{
	{"cue.mod/module.cue", ""},
	{".gitignore", "starter/gitignore"},
	{"pipeline.cue", "starter/pipeline.cue"},
	{"recipe.cue", "starter/recipe.cue"},
}

// Init makes a folder for documents: a starter pipeline and recipe, a module
// file, .gitignore. It fills the cache of CUE's own tools, so that cue vet and
// the language server work without a network. It returns the files it wrote,
// and writes none if one of them exists.
func Init(dir string) ([]string, error) {
	var written []string
	for _, f := range starterFiles {
		name := filepath.Join(dir, filepath.FromSlash(f.name))
		if _, err := os.Lstat(name); err == nil {
			return nil, fmt.Errorf("%s: exists already", name)
		}
	}
	if err := fillCache(); err != nil {
		return nil, err
	}
	for _, f := range starterFiles {
		data := []byte(moduleFile)
		if f.from != "" {
			var err error
			if data, err = starter.ReadFile(f.from); err != nil {
				return written, err
			}
		}
		name := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := writeFile(name, data); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	return written, nil
}
