package schema

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	pipe "pipe.dev"
)

// cacheDir is the folder in which CUE's own tools keep modules.
// CUE_CACHE_DIR is their variable.
func cacheDir() (string, error) {
	if dir := os.Getenv("CUE_CACHE_DIR"); dir != "" {
		return filepath.Join(dir, "mod"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the cache of CUE: %w", err)
	}
	return filepath.Join(dir, "cue", "mod"), nil
}

// fillCache puts the built-in module where CUE's own tools would have put it
// after downloading it: extract/MODULE@VERSION and download/MODULE/@v/VERSION.mod.
// What another build of pipe left there is replaced.
func fillCache() error {
	root, err := cacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "extract", modulePath+"@"+moduleVersion)
	if !holdsBuiltin(dir) {
		if err := extract(dir); err != nil {
			return err
		}
	}
	mod := filepath.Join(root, "download", modulePath, "@v", moduleVersion+".mod")
	data, err := pipe.CUE.ReadFile("cue.mod/module.cue")
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(mod); err == nil && bytes.Equal(have, data) {
		return nil
	}
	return writeFile(mod, data)
}

// holdsBuiltin reports whether dir has every file of the built-in module as it is.
func holdsBuiltin(dir string) bool {
	return walkBuiltin(func(path string) error {
		want, err := pipe.CUE.ReadFile(path)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if err == nil && !bytes.Equal(have, want) {
			err = fmt.Errorf("%s differs", path)
		}
		return err
	}) == nil
}

// extract writes the built-in module to dir, beside it first, so that nobody
// sees half of it.
func extract(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return pathError(dir, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return pathError(dir, err)
	}
	defer os.RemoveAll(tmp)
	err = walkBuiltin(func(path string) error {
		data, err := pipe.CUE.ReadFile(path)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(tmp, "new", filepath.FromSlash(path)), data)
	})
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); err == nil {
		if err := os.Rename(dir, filepath.Join(tmp, "old")); err != nil {
			return pathError(dir, err)
		}
	}
	return pathError(dir, os.Rename(filepath.Join(tmp, "new"), dir))
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return pathError(name, err)
	}
	return pathError(name, os.WriteFile(name, data, 0o666))
}
