package data

import (
	"fmt"
	"strings"
	"unicode"

	"pipe.dev/executor/checkpoint"
)

// RowError is a row that cannot be used. Its text is one line: file:line: field: fact. It unwraps to a
// *checkpoint.Error, as do all errors about files.
type RowError struct {
	File  string
	Line  int    // from 1; in Parquet files the number of the row; 0 where a row is a file
	Field string // or "" where it concerns the whole row
	Msg   string // the fact
}

func (e *RowError) Error() string {
	if e.Field == "" {
		return e.place() + ": " + clean(e.Msg)
	}
	return e.place() + ": " + clean(e.Field) + ": " + clean(e.Msg)
}

// place is the file, and the line if there is one.
func (e *RowError) place() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d", e.File, e.Line)
}

// OptionError is a mistake in an Attr or in BatchOptions. Its text is one line:
// field: fact.
type OptionError struct {
	Field string // as documents call it
	Msg   string // the fact
}

func (e *OptionError) Error() string { return e.Field + ": " + e.Msg }

func optionErrorf(field, format string, args ...any) error {
	return &OptionError{field, fmt.Sprintf(format, args...)}
}

// clean makes one line of what may hold names from a file.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// clip shortens a name from a file.
func clip(name string) string {
	const most = 40
	if r := []rune(name[:min(len(name), 4*most)]); len(r) > most {
		return string(r[:most]) + "…"
	}
	return name
}

// Unwrap returns the error as one about a file.
func (e *RowError) Unwrap() error {
	return &checkpoint.Error{File: e.place(), Msg: clean(e.Msg)}
}

// maxKept is how many messages about skipped rows are kept.
const maxKept = 8

// Skipped says which rows were left out.
type Skipped struct {
	Rows  int64    `json:"rows"`
	First []string `json:"first,omitempty"` // the messages of the first 8
}

func (s *Skipped) add(e *RowError) { s.note(e.Error()) }

func (s *Skipped) note(message string) {
	if s.Rows++; len(s.First) < maxKept {
		s.First = append(s.First, message)
	}
}

// errorf returns an error about a file.
func errorf(file, format string, args ...any) error {
	return &checkpoint.Error{File: file, Msg: fmt.Sprintf(format, args...)}
}
