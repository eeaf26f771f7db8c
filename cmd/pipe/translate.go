package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// eachLine translates line by line. Only the longest line is ever in memory.
func eachLine(ctx context.Context, in *bufio.Reader, w *bufio.Writer, tr translate) error {
	var line, out []byte
	for number := 1; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line = line[:0]
		var err error
		for {
			var part []byte
			part, err = in.ReadSlice('\n')
			line = append(line, part...)
			if err != bufio.ErrBufferFull {
				break
			}
		}
		if err != nil && err != io.EOF {
			return readError(err)
		}
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if n := len(line); line[n-1] == '\n' {
			line = line[:n-1]
		}
		if out, err = tr(out[:0], line); err != nil {
			return dataErrorf("%s:%d: %w", stdin, number, err)
		}
		if _, err := w.Write(append(out, '\n')); err != nil {
			return err
		}
		if in.Buffered() == 0 { // whoever writes line by line gets answers line by line
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// eachItem translates the items of a JSON array. Only the longest item is ever
// in memory.
func eachItem(ctx context.Context, in *bufio.Reader, w *bufio.Writer, tr translate) error {
	lines := &lineCounter{utf8Reader: utf8Reader{r: in}}
	d := json.NewDecoder(lines)
	fail := func(format string, args ...any) error {
		return dataErrorf("%s:%d: %w", stdin, lines.at(d.InputOffset()), fmt.Errorf(format, args...))
	}
	syntax := func(err error) error {
		var bad *json.SyntaxError
		switch {
		case errors.Is(err, context.Canceled) || is[*dataError](err):
			return err
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return fail("the JSON array does not end")
		case errors.As(err, &bad):
			return dataErrorf("%s:%d: %w", stdin, lines.at(bad.Offset), err)
		}
		return readError(err)
	}
	switch start, err := d.Token(); {
	case err == io.EOF:
		return fail("is empty; want a JSON array")
	case err != nil:
		return syntax(err)
	case start != json.Delim('['):
		return fail("want a JSON array, got %v", start)
	}
	var item json.RawMessage
	var out []byte
	w.WriteByte('[')
	for n := 0; d.More(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n > 0 {
			w.WriteString(",\n")
		}
		if err := d.Decode(&item); err != nil {
			return syntax(err)
		}
		var err error
		if out, err = tr(out[:0], item); err != nil {
			return fail("item %d: %w", n, err)
		}
		lines.forget(d.InputOffset())
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return syntax(err)
	}
	w.WriteString("]\n")
	if _, err := d.Token(); err == nil {
		return fail("text after the end of the array")
	} else if err != io.EOF {
		return syntax(err)
	}
	return nil
}

// readError is an error of reading stdin.
func readError(err error) error {
	if errors.Is(err, context.Canceled) || is[*dataError](err) {
		return err
	}
	return dataErrorf("%s: %w", stdin, err)
}
