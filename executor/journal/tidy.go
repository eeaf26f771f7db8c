package journal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sweep removes what an earlier Create of folder left when it was killed: a
// temporary folder that nobody has locked.
func (r Runs) sweep(folder string) {
	entries, err := r.disk.readDir(r.Root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !isTemporary(e.Name(), filepath.Base(folder)) {
			continue
		}
		path := filepath.Join(r.Root, e.Name())
		if _, err := r.disk.stat(filepath.Join(path, lockName)); err != nil {
			continue // perhaps made this moment
		}
		unlock, err := r.disk.lock(filepath.Join(path, lockName))
		if err != nil {
			continue // somebody is making the same run
		}
		_ = removeAll(r.disk, path) // litter: nothing depends on it
		_ = unlock()
	}
}

// tidy removes the temporary files and folders of a process that was killed.
func (r *Run) tidy() error {
	for _, dir := range []string{r.Folder, r.path(plotsName), r.path(checkpointsName)} {
		entries, err := r.disk.readDir(dir)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fileError(dir, err)
		}
		for _, e := range entries {
			if !isTemporary(e.Name(), "") {
				continue
			}
			if err := removeAll(r.disk, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return r.restore()
}

// checkNames proves that the names can be those of files.
func checkNames(folder, name, hash string, files map[string][]byte) error {
	plain := func(s string) bool {
		return s != "" && !strings.HasPrefix(s, ".") && strings.IndexFunc(s, func(c rune) bool {
			return c <= ' ' || c == 0x7f || strings.ContainsRune(`/\:*?"<>|`, c)
		}) < 0
	}
	switch {
	case !plain(name):
		return errorf(folder, "%q cannot name a folder: no spaces, slashes, leading dot or any of :*?\"<>|", name)
	case len(hash) < hashDigits || !plain(hash):
		return errorf(folder, "%q is no hash of %d letters or more", hash, hashDigits)
	}
	for f := range files {
		if !plain(f) || slices.Contains([]string{aboutName, metricsName, plotsName, checkpointsName, lockName}, f) {
			return errorf(folder, "%q cannot name a file of a run", f)
		}
	}
	return nil
}
