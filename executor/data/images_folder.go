package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// The columns of rows of pictures, besides those that files of metadata have.
const (
	imageColumn = "image" // the picture
	labelColumn = "label" // the folder that it lies in, or the number of its class
	textColumn  = "text"  // what a file of text beside it says
	fileColumn  = "file_name"
)

// className is the name of a class.
type className string

// imageRoot is a folder, or a file, that holds pictures, or sound.
type imageRoot struct {
	media
	path string
	kind string   // "folder", "metadata", "parquet", "tar" or "files"
	list []string // of pictures: paths below a folder, or of files
}

// imageRoots finds what the files of a source are: folders of pictures, of Parquet files or of tar archives, such files, or pictures; or sound likewise.
func imageRoots(root string, names []string, m media) ([]imageRoot, error) {
	var out []imageRoot
	var loose []string
	for _, name := range names {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		if isFolder(path) {
			found, err := imageFolder(path, m)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		found := []string{path}
		if _, err := os.Stat(path); err != nil {
			if !strings.ContainsAny(name, "*?[") {
				return nil, checkpoint.FileError(path, err)
			}
			if found, err = filepath.Glob(path); err != nil || len(found) == 0 {
				return nil, errorf(path, "no file matches")
			}
		}
		for _, file := range found {
			switch kind := shardKind(file); {
			case isFolder(file):
			case kind != "":
				out = append(out, imageRoot{m, file, kind, nil})
			case m.has(file):
				loose = append(loose, file)
			default:
				return nil, errorf(file, "is no file of %s, Parquet file or tar archive by its name; a folder of %s is given as the folder", m.noun, m.noun)
			}
		}
	}
	if len(loose) > 0 {
		out = append(out, imageRoot{m, loose[0], "files", loose})
	}
	return out, nil
}

func shardKind(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".parquet":
		return "parquet"
	case ".tar":
		return "tar"
	case ".tgz":
		return "tar.gz"
	}
	if strings.HasSuffix(strings.ToLower(file), ".tar.gz") {
		return "tar.gz"
	}
	return ""
}

// imageFolder lists the pictures below a folder, sorted by path; a folder without any may hold Parquet files or archives. Names that
// begin with a dot are left out.
func imageFolder(dir string, m media) ([]imageRoot, error) {
	var list []string
	var shards []imageRoot
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
		switch kind := shardKind(path); {
		case d.IsDir():
		case m.has(path):
			below, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			list = append(list, filepath.ToSlash(below))
		case kind != "" && d.Name() != "metadata.parquet":
			shards = append(shards, imageRoot{m, path, kind, nil})
		}
		return nil
	})
	if err != nil {
		return nil, checkpoint.FileError(dir, err)
	}
	kind := "folder"
	if metadataOf(dir) != "" {
		kind = "metadata"
	}
	switch {
	case len(list) > 0:
		return []imageRoot{{m, dir, kind, list}}, nil
	case len(shards) > 0:
		return shards, nil
	}
	return nil, errorf(dir, "the folder holds no %s (%s), and no Parquet files or tar archives of them", m.noun, strings.Join(m.ends, ", "))
}

// metadataOf is the file of a folder that says what belongs to its pictures, or "".
func metadataOf(dir string) string {
	for _, name := range []string{"metadata.jsonl", "metadata.csv", "metadata.parquet"} {
		if path := filepath.Join(dir, name); !isAbsent(statError(path)) {
			return path
		}
	}
	return ""
}

func statError(path string) error {
	_, err := os.Stat(path)
	return err
}

// rows gives the pictures of a folder with what belongs to them.
func (r *imageRoot) rows(a *Attr, o *Options, dropped *Skipped, yield func(Row) error) error {
	switch r.kind {
	case "metadata":
		return r.described(a, dropped, yield)
	case "parquet":
		return parquetImages(r.path, a, o, yield)
	case "tar":
		return r.archived(r.path, a, yield)
	case "tar.gz":
		file, err := unpackedTar(r.path, o)
		if err != nil {
			return err
		}
		return r.archived(file, a, yield)
	}
	pattern, err := newNamed(a.Pattern)
	if err != nil {
		return err
	}
	classes := false
	for _, name := range r.list {
		classes = classes || r.kind == "folder" && strings.Contains(name, "/")
	}
	for _, name := range r.list {
		path := name
		if r.kind == "folder" {
			path = filepath.Join(r.path, filepath.FromSlash(name))
		}
		row := Row{File: path, Values: map[string]any{r.column: &picture{file: path, size: -1}}}
		if class, _, below := strings.Cut(name, "/"); below && r.kind == "folder" {
			row.Values[labelColumn] = className(class)
		} else if classes {
			dropped.note(path + ": lies beside the folders of the classes")
			continue
		}
		if err := caption(path, &row); err != nil {
			return err
		}
		pattern.row(&row, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

// maxCaption is the size of the largest file of text beside a picture.
const maxCaption = 1 << 20

// caption adds what the file of text beside a picture says, if there is one.
func caption(path string, row *Row) error {
	file := strings.TrimSuffix(path, filepath.Ext(path)) + ".txt"
	info, err := os.Stat(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return checkpoint.FileError(file, err)
	}
	if info.Size() > maxCaption {
		*row = bad(file, 0, "", "has %d bytes; a text beside a picture may have %d", info.Size(), maxCaption)
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	row.Values[textColumn] = strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	return nil
}

// described gives the rows of a file of metadata, whose file_name, and X_file_name, are pictures of the folder: image, and X.
func (r *imageRoot) described(a *Attr, dropped *Skipped, yield func(Row) error) error {
	file := metadataOf(r.path)
	s, err := pick(file, "auto")
	if err != nil {
		return err
	}
	read := s.read
	if barred, err := isBarred(file); err != nil {
		return err
	} else if barred {
		read = r.readBarred
	}
	in, err := open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	seen := map[string]bool{}
	err = read(in, file, a, func(row Row) error {
		if row.bad == nil {
			pictureColumns(&row, r, seen)
		}
		return yield(row)
	})
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	for _, name := range r.list {
		if !seen[name] {
			dropped.note(fmt.Sprintf("%s: %s has no row for it", filepath.Join(r.path, filepath.FromSlash(name)), filepath.Base(file)))
		}
	}
	return nil
}

// pictureColumns puts pictures in the place of their names.
func pictureColumns(row *Row, r *imageRoot, seen map[string]bool) {
	found := false
	for _, column := range sortedKeys(row.Values) {
		as, ok := strings.CutSuffix(column, fileColumn)
		if !ok || as != "" && !strings.HasSuffix(as, "_") {
			continue
		}
		if as = strings.TrimSuffix(as, "_"); as == "" {
			as = r.column
		}
		name, ok := row.Values[column].(string)
		if !ok || !filepath.IsLocal(filepath.FromSlash(name)) {
			*row = bad(row.File, row.Line, column, "is %v, want the name of a %s in the folder", row.Values[column], r.one)
			return
		}
		row.Values[as] = &picture{file: filepath.Join(r.path, filepath.FromSlash(name)), size: -1}
		seen[filepath.ToSlash(filepath.Clean(name))] = true
		found = true
	}
	if !found {
		*row = bad(row.File, row.Line, fileColumn, "is missing; there are %s", strings.Join(sortedKeys(row.Values), ", "))
	}
}
