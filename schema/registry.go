package schema

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"

	"cuelang.org/go/cue/load"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/module"

	pipe "pipe.dev"
)

// The CUE module that is built in, and the version under which a module file
// asks for it.
const (
	modulePath    = "pipe.dev"
	moduleMajor   = modulePath + "@v0"
	moduleVersion = "v0.1.0"
)

// virtual is a folder at the root of the file system. Nothing needs to be
// there: an overlay gives the files, since the loader insists on OS paths.
func virtual(name string) string {
	dir, err := filepath.Abs(string(filepath.Separator) + name)
	if err != nil { // no current folder, which a path from the root does not need
		return string(filepath.Separator) + name
	}
	return dir
}

// builtinRoot is where the built-in module appears to lie.
func builtinRoot() string { return virtual(modulePath) }

// builtinFS tells the loader where the overlay has the files of the module.
type builtinFS struct{ embed.FS }

func (builtinFS) OSRoot() string { return builtinRoot() }

// registry serves the built-in module and nothing else, from memory.
type registry struct{}

func (registry) ModFile(_ context.Context, m module.Version) (*modfile.File, error) {
	if m.BasePath() != modulePath {
		return nil, foreign(m)
	}
	data, err := pipe.CUE.ReadFile("cue.mod/module.cue")
	if err != nil {
		return nil, err
	}
	return modfile.Parse(data, modulePath+"/cue.mod/module.cue")
}

func (registry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	if m.BasePath() != modulePath {
		return module.SourceLoc{}, foreign(m)
	}
	return module.SourceLoc{FS: builtinFS{pipe.CUE}, Dir: "."}, nil
}

func (registry) ModuleVersions(_ context.Context, path string) ([]string, error) {
	if path == moduleMajor || path == modulePath {
		return []string{moduleVersion}, nil
	}
	return nil, nil
}

func foreign(m module.Version) error {
	return fmt.Errorf("module %v is not available: only %s is built in", m, moduleMajor)
}

// builtinOverlay adds the files of the built-in module under builtinRoot.
func builtinOverlay(overlay map[string]load.Source) error {
	return walkBuiltin(func(path string) error {
		data, err := pipe.CUE.ReadFile(path)
		overlay[filepath.Join(builtinRoot(), filepath.FromSlash(path))] = load.FromBytes(data)
		return err
	})
}

// walkBuiltin calls each with the path of every file of the built-in module.
func walkBuiltin(each func(path string) error) error {
	return fs.WalkDir(pipe.CUE, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return each(path)
	})
}
