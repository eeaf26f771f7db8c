package data

import (
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// expand lists the files that names stand for, in order: a folder's files sorted by path, a pattern's matches sorted.
// Files whose names begin with a dot are left out of folders. Relative names start at root.
func expand(root string, names []string, kind string) ([]string, error) {
	var out []string
	for _, name := range names {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			found, err := folder(path, kind)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		case err == nil:
			out = append(out, path)
		case strings.ContainsAny(name, "*?["):
			found, err := filepath.Glob(path)
			if err != nil {
				return nil, errorf(path, "is no pattern: %v", err)
			}
			found = slices.DeleteFunc(found, isFolder)
			if len(found) == 0 {
				return nil, errorf(path, "no file matches")
			}
			out = append(out, found...)
		default:
			return nil, checkpoint.FileError(path, err)
		}
	}
	return out, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// folder lists the files below dir that a source of this kind reads.
func folder(dir, kind string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != dir {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if s := sourceOf(path); !d.IsDir() && s != nil && (kind == "auto" || kind == s.name) {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		return nil, checkpoint.FileError(dir, err)
	}
	if len(out) == 0 {
		return nil, errorf(dir, "the folder has no file of kind %s", kind)
	}
	return out, nil // WalkDir is in lexical order
}

// sourceOf is the source that reads files of such a name, or nil.
func sourceOf(path string) *source {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gz")
	for i := range sources {
		if slices.ContainsFunc(sources[i].extensions, func(end string) bool { return strings.HasSuffix(name, end) }) {
			return &sources[i]
		}
	}
	return nil
}

// pick is the source that reads path under an attribute's kind.
func pick(path, kind string) (*source, error) {
	var known []string
	for i := range sources {
		if sources[i].name == kind {
			return &sources[i], nil
		}
		known = append(known, sources[i].extensions...)
	}
	if s := sourceOf(path); s != nil {
		return s, nil
	}
	return nil, errorf(path, "the name does not tell what the file is: give a kind, or one of the endings %v, with .gz or without", known)
}

// opened is a file being read, unpacked if it is packed.
type opened struct {
	file   *os.File
	unpack *gzip.Reader // or nil
}

func open(path string) (*opened, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	o := &opened{file: f}
	if lower := strings.ToLower(path); strings.HasSuffix(lower, ".gz") || strings.HasSuffix(lower, ".tgz") {
		if o.unpack, err = gzip.NewReader(f); err != nil {
			f.Close()
			return nil, checkpoint.FileError(path, err)
		}
	}
	return o, nil
}

func (o *opened) Read(p []byte) (int, error) {
	if o.unpack != nil {
		return o.unpack.Read(p)
	}
	return o.file.Read(p)
}

// unpacked is what a reader of a file of such a name gives, unpacked if it is packed.
func unpacked(name string, r io.Reader) (io.Reader, error) {
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		return gzip.NewReader(r)
	}
	return r, nil
}

func (o *opened) Close() error { return o.file.Close() }

// seekable returns the contents for reading at any offset: the file itself, or a temporary file with what is packed.
func (o *opened) seekable() (file *os.File, size int64, done func(), err error) {
	file, done = o.file, func() {}
	if o.unpack != nil {
		if file, err = os.CreateTemp("", "pipe-*.unpacked"); err != nil {
			return nil, 0, nil, err
		}
		done = func() { file.Close(); os.Remove(file.Name()) }
		if _, err := io.Copy(file, o.unpack); err != nil {
			done()
			return nil, 0, nil, err
		}
	}
	info, err := file.Stat()
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return file, info.Size(), done, nil
}
