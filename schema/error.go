package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
)

// Error is one mistake at one place of a document.
type Error struct {
	// Pos is where. Without a line, File is what is at fault as a whole: a
	// file, or "--set NAME".
	Pos  ir.Pos
	Msg  string
	Hint string // what would be right, or ""
}

// Error gives one line: "file:line:col: path: fact (hint)".
func (e *Error) Error() string {
	at := e.Pos.String()
	if e.Pos.Line == 0 && e.Pos.File != "" {
		at = e.Pos.File
		if e.Pos.Path != "" {
			at += ": " + e.Pos.Path
		}
	}
	s := e.Msg
	if at != "" {
		s = at + ": " + s
	}
	if e.Hint != "" {
		s = fmt.Sprintf("%s (%s)", s, e.Hint)
	}
	return s
}

// Errors are all mistakes of a document, sorted by place.
type Errors []*Error

// Error gives one line for each mistake.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single mistakes.
func (es Errors) Unwrap() []error {
	list := make([]error, len(es))
	for i, e := range es {
		list[i] = e
	}
	return list
}

// sorted orders es by place and drops what is told twice.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
		)
	})
	return slices.CompactFunc(es, func(a, b *Error) bool { return a.Error() == b.Error() })
}

// err is nil if there are no mistakes.
func (es Errors) err() error {
	if len(es) == 0 {
		return nil
	}
	return es.sorted()
}
