package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// readCSV reads rows as in RFC 4180. The first names the fields.
func readCSV(o *opened, name string, _ *Attr, yield func(Row) error) error {
	in := &counted{r: skipBOM(bufio.NewReaderSize(o, 1<<16))}
	r := csv.NewReader(in)
	r.ReuseRecord = true
	if filepath.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")) == ".tsv" {
		r.Comma = '\t'
	}
	first, err := r.Read()
	if errors.Is(err, io.EOF) {
		return errorf(name, "is empty, want field names in the first row")
	}
	if err != nil {
		return csvFault(name, err)
	}
	fields := slices.Clone(first)
	for i, f := range fields {
		if slices.Contains(fields[:i], f) {
			return &RowError{File: name, Line: 1, Field: f, Msg: "two fields have this name"}
		}
	}
	r.FieldsPerRecord = -1
	for {
		in.left, in.ends = maxRow, in.ends[:0]
		record, err := r.Read()
		var row Row
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &syntax):
			row = Row{File: name, Line: syntax.StartLine, bad: csvFault(name, err).(*RowError)}
		case err != nil:
			return err
		default:
			line, _ := r.FieldPos(0)
			row = csvRow(name, line, fields, record)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

func csvRow(name string, line int, fields, record []string) Row {
	if len(record) != len(fields) {
		return bad(name, line, "", "has %d fields, the first row names %d", len(record), len(fields))
	}
	row := Row{File: name, Line: line, Values: make(map[string]any, len(fields))}
	for i, f := range fields {
		if !utf8.ValidString(record[i]) {
			return bad(name, line, f, "text is not UTF-8")
		}
		row.Values[f] = strings.Clone(record[i])
	}
	return row
}

func csvFault(name string, err error) error {
	var e *csv.ParseError
	if !errors.As(err, &e) {
		return err
	}
	return bad(name, e.Line, "", "CSV is broken at byte %d of the line: %v", e.Column, e.Err).bad
}
