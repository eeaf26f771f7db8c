package data

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// media is a kind of files that examples are made of.
type media struct {
	noun   string   // "pictures"
	one    string   // "picture"
	column string   // of rows, that holds one
	ends   []string // of names
}

var (
	pictureMedia = media{"pictures", "picture", imageColumn, []string{".png", ".jpg", ".jpeg", ".webp", ".gif"}}
	soundMedia   = media{"sound", "clip", soundColumn, []string{".wav", ".flac", ".mp3"}}
)

// media are the files of a source.
func (a *Attr) media() media {
	if a.Format == Sounds {
		return soundMedia
	}
	return pictureMedia
}

// has reports whether a file is one, by its name.
func (m media) has(name string) bool {
	return slices.Contains(m.ends, strings.ToLower(filepath.Ext(name)))
}

// named matches the names of files, and says what is in them: a pattern as {label}_{speaker}_{index}.
type named struct {
	pattern string
	columns []string
	match   *regexp.Regexp
}

var placeOfName = regexp.MustCompile(`\{[a-zA-Z_][a-zA-Z0-9_]*\}`)

// newNamed reads a pattern; nil if there is none.
func newNamed(pattern string) (*named, error) {
	if pattern == "" {
		return nil, nil
	}
	n := &named{pattern: pattern}
	text, at := "^", 0
	for _, m := range placeOfName.FindAllStringIndex(pattern, -1) {
		name := pattern[m[0]+1 : m[1]-1]
		if slices.Contains(n.columns, name) {
			return nil, optionErrorf("pattern", "is %q, which has %s twice", pattern, name)
		}
		if len(n.columns) > 0 && m[0] == at {
			return nil, optionErrorf("pattern", "is %q, with nothing between %s and %s", pattern, n.columns[len(n.columns)-1], name)
		}
		text += regexp.QuoteMeta(pattern[at:m[0]]) + "(.+?)"
		n.columns, at = append(n.columns, name), m[1]
	}
	if len(n.columns) == 0 {
		return nil, optionErrorf("pattern", "is %q, which names no column, as {label}", pattern)
	}
	n.match = regexp.MustCompile(text + regexp.QuoteMeta(pattern[at:]) + "$")
	return n, nil
}

// row adds the columns that the name of a row's file has; name is without its ending.
func (n *named) row(row *Row, name string) {
	if n == nil || row.bad != nil {
		return
	}
	found := n.match.FindStringSubmatch(name)
	if found == nil {
		*row = bad(row.File, row.Line, "", "is called %q, want names as %s", clip(name), n.pattern)
		return
	}
	for i, column := range n.columns {
		row.Values[column] = found[i+1]
	}
}

// wanted reports whether a row is one of those that only and without leave.
func (a *Attr) wanted(row *Row) (bool, *RowError) {
	if row.bad != nil {
		return true, nil
	}
	for _, list := range []map[string][]string{a.Only, a.Without} {
		for _, column := range slices.Sorted(maps.Keys(list)) {
			if _, ok := row.Values[column]; !ok {
				return false, bad(row.File, row.Line, column, "is missing, and the source chooses by it; there are %s", strings.Join(sortedKeys(row.Values), ", ")).bad
			}
		}
	}
	has := func(column string, list []string) bool {
		return slices.Contains(list, strings.TrimSpace(fmt.Sprint(row.Values[column])))
	}
	for column, list := range a.Only {
		if !has(column, list) {
			return false, nil
		}
	}
	for column, list := range a.Without {
		if has(column, list) {
			return false, nil
		}
	}
	return true, nil
}

// largestArchive bounds what a compressed archive may become, bytes.
const largestArchive = 1 << 37

// unpackedTar unpacks a compressed archive into the cache, once, so that what is in it can be read in any order.
func unpackedTar(path string, o *Options) (string, error) {
	if o.Cache == "" {
		return "", errorf(path, "there is no folder to unpack the archive into")
	}
	sum, err := Sum(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Cache, 0o777); err != nil {
		return "", checkpoint.FileError(o.Cache, err)
	}
	file := filepath.Join(o.Cache, filepath.Base(path)+"-"+sum.SHA256[:16]+".tar")
	if !isAbsent(statError(file)) {
		return file, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", checkpoint.FileError(path, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", errorf(path, "is no gzip file: %v", err)
	}
	err = checkpoint.Replace(file, func(w io.Writer) error {
		n, err := io.CopyN(w, z, largestArchive)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("unpacks to more than %d bytes", n)
		}
		return err
	})
	if err != nil {
		return "", errorf(path, "is a damaged archive: %v", err)
	}
	return file, nil
}
