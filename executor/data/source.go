package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"pipe.dev/executor/checkpoint"
)

// maxRow is how many bytes a row may have, so that a broken file cannot fill the memory.
const maxRow = 64 << 20

// Row is one row of a file.
type Row struct {
	File   string
	Line   int            // where it begins, from 1; in Parquet files the number of the row
	Values map[string]any // by field: string, float64, int64, bool, nil, []any, map[string]any
	Text   string         // of a file of text, instead of Values
	Part   bool           // Text goes on in the next row

	follows bool      // Text goes on from the row before
	bad     *RowError // the row cannot be used
}

// source reads one kind of file.
type source struct {
	name       string
	extensions []string
	doc        string
	// read gives the rows of a file in order, among them the bad ones, and stops at the first error of yield. Its own
	// error is one after which no row can be found.
	read func(o *opened, name string, a *Attr, yield func(Row) error) error
	// together stands in for read where the files of a source are columns of the same rows.
	together func(files []string, a *Attr, yield func(Row) error) error
}

// sources is the table of the kinds of files.
var sources = []source{
	{"text", []string{".txt", ".text", ".md"}, "UTF-8 text", readText, nil},
	{"jsonl", []string{".jsonl", ".ndjson"}, "a JSON object in each line", readJSONL, nil},
	{"json", []string{".json"}, "one JSON array of objects", readJSON, nil},
	{"csv", []string{".csv", ".tsv"}, "comma-separated (tab-separated in .tsv) with the field names in the first row", readCSV, nil},
	{"arrays", []string{".npz", ".npy", ".safetensors"}, "NumPy arrays or safetensors, whose rows along the first axis are examples; for format columns", readArrays, nil},
	{"parquet", []string{".parquet"}, "Parquet; fields may be lists and structures", readParquet, nil},
	{"idx", []string{".idx", "idx1-ubyte", "idx2-ubyte", "idx3-ubyte", "idx4-ubyte", ".tar", ".tgz"}, "arrays of one type, as those of MNIST, alone or in an archive: every file is a column, called as the file without .gz; for format columns", nil, readIDX},
}

// rows reads all files in order.
func rows(files []string, a *Attr, yield func(Row) error) error {
	for i, path := range files {
		s, err := pick(path, a.Kind)
		if err != nil {
			return err
		}
		if s.together != nil && i == 0 {
			return together(s, files, a, yield)
		}
		if s.together != nil {
			return apart(path, s)
		}
		o, err := open(path)
		if err != nil {
			return err
		}
		err = s.read(o, path, a, yield)
		o.Close()
		if err != nil {
			return checkpoint.FileError(path, err)
		}
	}
	return nil
}

// together reads files that are columns of the same rows.
func together(s *source, files []string, a *Attr, yield func(Row) error) error {
	for _, path := range files {
		if other, err := pick(path, a.Kind); err != nil || other != s {
			return errors.Join(err, apart(path, s))
		}
	}
	return s.together(files, a, yield)
}

func apart(path string, s *source) error {
	return errorf(path, "files of kind %s are columns of the same rows, and do not mix with files of other kinds in one source", s.name)
}

// lines reads lines of at most maxRow bytes.
type lines struct {
	r    *bufio.Reader
	line int // the number of the line last read, from 1
	buf  []byte
}

var errTooLong = fmt.Errorf("has more than %d MB", maxRow>>20)

func newLines(r io.Reader) *lines { return &lines{r: skipBOM(bufio.NewReaderSize(r, 1<<16))} }

// skipBOM takes the byte order mark that some editors put before UTF-8.
func skipBOM(r *bufio.Reader) *bufio.Reader {
	if b, _ := r.Peek(3); bytes.Equal(b, []byte("\ufeff")) {
		_, _ = r.Discard(3) // they are in the buffer
	}
	return r
}

// next returns a line without its end, valid until the next call; io.EOF after the last, and errTooLong for a line that
// it passed over.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	l.line++
	tooLong := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > maxRow {
			tooLong = true
		}
		if !tooLong {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case tooLong:
			return nil, errTooLong
		case err != nil && len(l.buf) == 0:
			return nil, io.EOF
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r")), nil
	}
}

// bad is a row that cannot be used.
func bad(file string, line int, field, format string, args ...any) Row {
	return Row{File: file, Line: line, bad: &RowError{File: file, Line: line, Field: field, Msg: fmt.Sprintf(format, args...)}}
}
