package hub

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// repo is a model's folder in the cache:
//
//	refs/REVISION           the commit of a branch or tag
//	blobs/HASH              contents of files
//	snapshots/COMMIT/PATH   links to them
type repo struct{ dir string }

func (e Env) repo(n Name) repo {
	return repo{filepath.Join(e.Cache, "models--"+n.Owner+"--"+n.Model)}
}

func (r repo) ref(revision string) string {
	return filepath.Join(r.dir, "refs", filepath.FromSlash(revision))
}
func (r repo) blob(hash string) string       { return filepath.Join(r.dir, "blobs", hash) }
func (r repo) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

// commit is the commit that a revision was when it was pulled; "" if it is not
// known.
func (r repo) commit(revision string) string {
	if commitPart.MatchString(revision) {
		return revision
	}
	f, err := os.Open(r.ref(revision))
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64))
	commit := strings.TrimSpace(string(text))
	if err != nil || !commitPart.MatchString(commit) {
		return ""
	}
	return commit
}

// Find returns the folder of a model in the cache. It asks nobody.
func (e Env) Find(n Name) (folder string, ok bool) {
	r := e.repo(n)
	commit := r.commit(n.Revision)
	if commit == "" {
		return "", false
	}
	folder = r.snapshot(commit)
	info, err := os.Stat(folder)
	return folder, err == nil && info.IsDir()
}

// Folder is Env.Folder in the environment of this process.
func Folder(path string) (string, error) {
	name, _ := partOf(path)
	if _, err := Parse(name); err != nil {
		return path, nil
	}
	e, err := FromEnvironment(os.Getenv)
	if err != nil {
		return "", &checkpoint.Error{File: path, Msg: err.Error(), Err: err}
	}
	return e.Folder(path)
}

// partOf divides OWNER/NAME/PART into the name of a model of the hub and a part of its folder. A name with a
// revision, which may hold slashes, has no part.
func partOf(path string) (name, part string) {
	list := strings.SplitN(path, "/", 3)
	if len(list) < 3 || strings.Contains(path, "@") || list[2] == "" || !filepath.IsLocal(list[2]) {
		return path, ""
	}
	return list[0] + "/" + list[1], list[2]
}

// Folder is what a document means by a model: the path if something is there,
// else a model of the hub, if the cache has it: its folder, or the GGUF file that
// is all of it; of OWNER/NAME/PART a folder or file in it. What is no name of one is
// returned as it is, and so is a part of one that the cache lacks.
func (e Env) Folder(path string) (string, error) {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	name, part := partOf(path)
	n, err := Parse(name)
	if err != nil {
		return path, nil
	}
	switch folder, ok := e.Find(n); {
	case ok && part != "":
		return filepath.Join(folder, filepath.FromSlash(part)), nil
	case part != "":
		return path, nil
	case ok:
		return onlyGGUF(folder), nil
	}
	return "", &checkpoint.Error{File: path, Msg: fmt.Sprintf("no such file or folder; a model of that name on the hub is not in the cache (%s) either: pipe pull %s would fetch it", e.Cache, n), Err: fs.ErrNotExist}
}

// onlyGGUF is the GGUF file in a folder without a config.json, if there is just
// one; else the folder.
func onlyGGUF(folder string) string {
	if _, err := os.Stat(filepath.Join(folder, "config.json")); err == nil {
		return folder
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.gguf"))
	if err != nil || len(files) != 1 {
		return folder
	}
	return files[0]
}

// setRef notes the commit of a branch or tag.
func (r repo) setRef(revision, commit string) error {
	if revision == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(r.ref(revision)), 0o777); err != nil {
		return err
	}
	return checkpoint.Replace(r.ref(revision), func(w io.Writer) error {
		_, err := io.WriteString(w, commit)
		return err
	})
}

// link puts a file of a snapshot in place: a link to its blob, or a copy where
// the system has no links.
func (r repo) link(commit, path, hash string) error {
	at := filepath.Join(r.snapshot(commit), filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	to, err := filepath.Rel(filepath.Dir(at), r.blob(hash))
	if err != nil {
		return err
	}
	if old, err := os.Readlink(at); err == nil && old == to {
		return nil
	}
	temporary := fmt.Sprintf("%s.%s.tmp", at, rand.Text()) // nobody else's
	if err := os.Symlink(to, temporary); err != nil {
		return r.copy(at, hash)
	}
	if err := os.Rename(temporary, at); err != nil {
		os.Remove(temporary)
		return err
	}
	return nil
}

func (r repo) copy(at, hash string) error {
	from, err := os.Open(r.blob(hash))
	if err != nil {
		return err
	}
	defer from.Close()
	return checkpoint.Replace(at, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}
