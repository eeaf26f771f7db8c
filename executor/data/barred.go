package data

import (
	"bytes"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The columns of metadata as LJSpeech has it.
const (
	idColumn  = "id"
	rawColumn = "raw" // the text as it was printed; textColumn is as it is read, where the line has that
)

// isBarred reports whether a file of metadata is of lines ID|text, or ID|text|text as it is read: without names of
// columns, quotes or commas that part.
func isBarred(file string) (bool, error) {
	if strings.ToLower(filepath.Ext(file)) != ".csv" {
		return false, nil
	}
	in, err := open(file)
	if err != nil {
		return false, err
	}
	defer in.Close()
	line, err := newLines(io.LimitReader(in, 1<<16)).next()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	id, _, bar := bytes.Cut(line, []byte("|"))
	return bar && len(id) > 0 && !bytes.Contains(line, []byte(fileColumn)) && !bytes.ContainsAny(id, ",\""), err
}

// readBarred reads such a file: a row's file is the one of that name in any folder below.
func (r *imageRoot) readBarred(in *opened, name string, _ *Attr, yield func(Row) error) error {
	files := map[string]string{}
	for _, f := range r.list {
		files[strings.TrimSuffix(path.Base(f), path.Ext(f))] = f
	}
	lines := newLines(in)
	for {
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errTooLong):
			return err
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		}
		row := bad(name, lines.line, "", "%v", errTooLong)
		if err == nil {
			row = barredRow(name, lines.line, string(line), files, r.one)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

func barredRow(name string, number int, line string, files map[string]string, one string) Row {
	fields := strings.Split(line, "|")
	switch file, ok := files[fields[0]]; {
	case len(fields) != 2 && len(fields) != 3:
		return bad(name, number, "", "has %d fields between |, want ID|text or ID|text|text as it is read", len(fields))
	case !utf8.ValidString(line):
		return bad(name, number, textColumn, "text is not UTF-8")
	case !ok:
		return bad(name, number, idColumn, "is %q, and the folder has no %s of that name", fields[0], one)
	default:
		return Row{File: name, Line: number, Values: map[string]any{
			fileColumn: file, idColumn: fields[0], rawColumn: fields[1], textColumn: fields[len(fields)-1]}}
	}
}
