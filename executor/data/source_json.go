package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// readJSONL reads an object a line. Blank lines are passed over.
func readJSONL(o *opened, name string, _ *Attr, yield func(Row) error) error {
	for l := newLines(o); ; {
		text, err := l.next()
		var row Row
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong):
			row = bad(name, l.line, "", "line %v", err)
		case err != nil:
			return err
		case len(bytes.TrimSpace(text)) == 0:
			continue
		default:
			row = object(name, l.line, text)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

// object makes a row of the text of a JSON object.
func object(name string, line int, text []byte) Row {
	if !utf8.Valid(text) {
		return bad(name, line, "", "JSON is not UTF-8 at byte %d", invalidUTF8(text)+1)
	}
	row := Row{File: name, Line: line}
	err := json.Unmarshal(text, &row.Values)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return bad(name, line, "", "JSON is broken at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &kind):
		return bad(name, line, "", "is a JSON %s, want an object", kind.Value)
	case err != nil:
		return bad(name, line, "", "JSON is broken: %v", err)
	case row.Values == nil:
		return bad(name, line, "", "is null, want an object")
	}
	return row
}

// readJSON reads the elements of one array, one at a time. An element of the wrong type is a bad row; broken syntax ends
// the reading, since nothing after it can be found.
func readJSON(o *opened, name string, _ *Attr, yield func(Row) error) error {
	in := &counted{r: skipBOM(bufio.NewReaderSize(o, 1<<16)), line: 1}
	d := json.NewDecoder(in)
	stop := func(err error) error {
		at := d.InputOffset()
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = max(at, syntax.Offset-1)
		} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			at, err = in.read, errors.New("the file ends inside the array")
		}
		return &RowError{File: name, Line: in.lineAt(at), Msg: "JSON is broken, so that the rest cannot be read: " + err.Error()}
	}
	first, err := d.Token()
	if errors.Is(err, io.EOF) {
		return errorf(name, "is empty, want a JSON array")
	}
	if err != nil {
		return stop(err)
	}
	if first != json.Delim('[') {
		return errorf(name, "is not a JSON array: begins with %v; for an object in each line the kind is jsonl", first)
	}
	for d.More() {
		in.left = maxRow
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return stop(err)
		}
		row := object(name, in.lineAt(d.InputOffset()-int64(len(raw))), raw)
		if err := yield(row); err != nil {
			return err
		}
	}
	in.left = maxRow
	if _, err := d.Token(); err != nil {
		return stop(err)
	}
	if t, err := d.Token(); err == nil {
		return &RowError{File: name, Line: in.lineAt(d.InputOffset()), Msg: fmt.Sprintf("%v stands after the array", t)}
	} else if !errors.Is(err, io.EOF) {
		return stop(err)
	}
	return nil
}

// counted is a reader that knows where lines begin, and gives at most left bytes before left is set anew.
type counted struct {
	r    io.Reader
	left int
	read int64
	ends []int64 // the offsets of line ends not yet passed
	line int     // the line before the first of ends
}

func (c *counted) Read(p []byte) (int, error) {
	if c.read == 0 {
		c.left = maxRow
	}
	if c.left <= 0 {
		return 0, fmt.Errorf("an element %w", errTooLong)
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	for i, b := range p[:n] {
		if b == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	c.left -= n
	return n, err
}

// lineAt is the line of an offset that is not before that of the last call.
func (c *counted) lineAt(offset int64) int {
	n := 0
	for n < len(c.ends) && c.ends[n] < offset {
		n++
	}
	c.line += n
	c.ends = append(c.ends[:0], c.ends[n:]...)
	return c.line
}
