package data

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"pipe.dev/executor/checkpoint"
)

// parquetImages gives the rows of a Parquet file as Hugging Face writes them: pictures are structures of bytes and path. Their bytes
// are unpacked once, into a file of the cache, so that they can be read in any order.
func parquetImages(path string, a *Attr, o *Options, yield func(Row) error) error {
	if o.Cache == "" {
		return errorf(path, "there is no folder to unpack pictures into")
	}
	names, err := parquetClasses(path)
	if err != nil {
		return err
	}
	sum, err := Sum(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Cache, 0o777); err != nil {
		return checkpoint.FileError(o.Cache, err)
	}
	file := filepath.Join(o.Cache, filepath.Base(path)+"-"+sum.SHA256[:16]+".pictures")
	in, err := open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	u := &unpackedPictures{file: file, folder: filepath.Dir(path), classes: names}
	if isAbsent(statError(file)) {
		err := checkpoint.Replace(file, func(w io.Writer) error {
			u.at, u.to = 0, w
			return readParquet(in, path, a, func(r Row) error { return u.row(&r) })
		})
		if err != nil {
			return checkpoint.FileError(path, err)
		}
	}
	again, err := open(path)
	if err != nil {
		return err
	}
	defer again.Close()
	u.at, u.to = 0, nil
	err = readParquet(again, path, a, func(r Row) error {
		if err := u.row(&r); err != nil {
			return err
		}
		return yield(r)
	})
	if err != nil {
		return checkpoint.FileError(path, err)
	}
	return nil
}

// unpackedPictures is the file that holds the pictures of others, one after the other.
type unpackedPictures struct {
	file, folder string
	classes      map[string][]string // names of the classes of columns
	at           int64
	to           io.Writer // nil if they are there
}

// row puts pictures in the place of their bytes, and names of classes in that of their numbers.
func (u *unpackedPictures) row(r *Row) error {
	for _, column := range sortedKeys(r.Values) {
		if names := u.classes[column]; names != nil {
			if i, ok := r.Values[column].(int64); ok && i >= 0 && i < int64(len(names)) {
				r.Values[column] = numberedClass{int(i), names}
			}
		}
		m, ok := r.Values[column].(map[string]any)
		if !ok {
			continue
		}
		data, there := m["bytes"]
		if !there {
			continue
		}
		name, _ := m["path"].(string)
		if data == nil && name != "" && filepath.IsLocal(filepath.FromSlash(name)) { // beside the file
			r.Values[column] = &picture{file: filepath.Join(u.folder, filepath.FromSlash(name)), size: -1}
			continue
		}
		text, ok := data.(string)
		if !ok {
			*r = bad(r.File, r.Line, column, "has no bytes, and no path of a picture beside the file")
			return nil
		}
		if u.to != nil {
			if _, err := io.WriteString(u.to, text); err != nil {
				return err
			}
		}
		p := &picture{file: u.file, at: u.at, size: int64(len(text)), inside: fmt.Sprintf("row %d of %s", r.Line, r.File)}
		if name != "" {
			p.inside += ", " + clip(name)
		}
		r.Values[column], u.at = p, u.at+p.size
	}
	return nil
}

// numberedClass is a class by its number among names.
type numberedClass struct {
	number int
	names  []string
}

// parquetClasses are the names of classes that a file of Hugging Face's datasets says, by column.
func parquetClasses(path string) (out map[string][]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	defer f.Close()
	defer func() { // the library panics on some broken files
		if p := recover(); p != nil {
			out, err = nil, errorf(path, "broken Parquet: %v", p)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return nil, errorf(path, "is no readable Parquet file: %v", err)
	}
	text, ok := file.Lookup("huggingface")
	var about struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if !ok || json.Unmarshal([]byte(text), &about) != nil { // other programs may write there what they like
		return nil, nil
	}
	out = map[string][]string{}
	for column, raw := range about.Info.Features {
		var feature struct {
			Names []string `json:"names"`
			Type  string   `json:"_type"`
		}
		if json.Unmarshal(raw, &feature) == nil && feature.Type == "ClassLabel" && len(feature.Names) > 0 {
			out[column] = feature.Names
		}
	}
	return out, nil
}

// archived gives the samples of an archive as WebDataset writes them: files whose names are alike up to the first dot belong together.
// A picture is image, sound is audio, .cls is label, .txt is text, and .json has columns. They are read where they lie in the archive.
//
// file is the archive, or a copy of it that is not compressed.
//
// Source: github.com/webdataset/webdataset, "The WebDataset Format".
func (r *imageRoot) archived(file string, a *Attr, yield func(Row) error) error {
	path := r.path // what messages call it
	pattern, err := newNamed(a.Pattern)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	defer f.Close()
	in := &place{r: f}
	archive := tar.NewReader(in)
	row, key, line := Row{}, "", 0
	give := func() error {
		if key == "" || row.bad == nil && len(row.Values) == 0 { // nothing that belongs to a sample, as a file README
			return nil
		}
		if _, ok := row.Values[r.column]; !ok && row.bad == nil {
			row = bad(path, line, key, "is a sample without %s", r.noun)
		}
		pattern.row(&row, filepath.Base(key))
		return yield(row)
	}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return give()
		}
		if err != nil {
			return errorf(path, "is a damaged tar archive: %v", err)
		}
		if h.Typeflag != tar.TypeReg || strings.HasPrefix(filepath.Base(h.Name), ".") {
			continue
		}
		dir, base := filepath.Split(h.Name)
		stem, extension, _ := strings.Cut(base, ".")
		if dir+stem != key {
			if err := give(); err != nil {
				return err
			}
			line++
			key, row = dir+stem, Row{File: path, Line: line, Values: map[string]any{}}
		}
		if err := r.member(&row, h, archive, &picture{file: file, at: in.at, archive: path}, strings.ToLower(extension)); err != nil {
			return err
		}
	}
}

// place is a reader that knows how far it is.
type place struct {
	r  io.Reader
	at int64
}

func (p *place) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.at += int64(n)
	return n, err
}

// member adds a file of an archive, which lies at a place, to its sample.
func (r *imageRoot) member(row *Row, h *tar.Header, in io.Reader, at *picture, extension string) error {
	path := r.path
	if row.bad != nil {
		return nil
	}
	if r.has("." + extension) {
		if _, ok := row.Values[r.column]; !ok {
			at.size, at.inside = h.Size, h.Name
			row.Values[r.column] = at
		}
		return nil
	}
	if extension != "txt" && extension != "cls" && extension != "json" {
		return nil
	}
	if h.Size > maxCaption {
		*row = bad(path, row.Line, h.Name, "has %d bytes; a text may have %d", h.Size, maxCaption)
		return nil
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return errorf(path, "is a damaged tar archive: %s: %v", clean(h.Name), err)
	}
	trimmed := strings.TrimSpace(string(text))
	switch extension {
	case "txt":
		row.Values[textColumn] = trimmed
	case "cls":
		n, err := strconv.ParseInt(trimmed, 10, 32)
		if err != nil {
			*row = bad(path, row.Line, h.Name, "is %q, want the number of a class", clip(trimmed))
			return nil
		}
		row.Values[labelColumn] = n
	case "json":
		o := object(path, row.Line, text)
		if o.bad != nil {
			o.bad.Field = h.Name
			row.bad = o.bad
			return nil
		}
		for k, v := range o.Values {
			if _, ok := row.Values[k]; !ok {
				row.Values[k] = v
			}
		}
	}
	return nil
}
