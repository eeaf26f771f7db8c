package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

// chunk is about how many bytes of a file of text one row has.
const chunk = 128 << 10

func readText(o *opened, name string, a *Attr, yield func(Row) error) error {
	switch a.Document {
	case "line":
		return readLines(o, name, yield)
	case "paragraph":
		return readParagraphs(o, name, yield)
	}
	return readWhole(o, name, chunk, yield)
}

// readWhole gives the file as one document in parts of about size bytes. A part ends before a single space between two words, where the usual
// tokenizers split anyway, so that parts encode as the whole would; where there is none it ends after a single line end,
// or else between two characters.
func readWhole(o io.Reader, name string, size int, yield func(Row) error) error {
	r := skipBOM(bufio.NewReaderSize(o, 1<<16))
	buf, kept, line, follows := make([]byte, 0, 2*size), 0, 1, false
	for {
		n, err := io.ReadFull(r, buf[kept:kept+size])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		text := buf[:kept+n]
		cut := len(text)
		if !end {
			cut = cutAt(text)
		}
		if at := invalidUTF8(text[:cut]); at >= 0 {
			return &RowError{File: name, Line: line + bytes.Count(text[:at], []byte("\n")), Msg: "text is not UTF-8"}
		}
		if err := yield(Row{File: name, Line: line, Text: string(text[:cut]), Part: !end, follows: follows}); err != nil || end {
			return err
		}
		follows = true
		line += bytes.Count(text[:cut], []byte("\n"))
		kept = copy(buf[:cap(buf)], text[cut:]) // at most half of the text, which is at most size
	}
}

// cutAt is where a part of a longer text may end.
func cutAt(text []byte) int {
	line := 0
	for i := len(text) - 2; i > len(text)/2; i-- {
		if c := text[i]; c != ' ' && (c != '\n' || line > 0) || !utf8.FullRune(text[i+1:]) {
			continue
		}
		before, _ := utf8.DecodeLastRune(text[:i])
		after, _ := utf8.DecodeRune(text[i+1:])
		switch {
		case unicode.IsSpace(before) || unicode.IsSpace(after):
		case text[i] == ' ':
			return i
		default:
			line = i + 1
		}
	}
	if line > 0 {
		return line
	}
	i := len(text)
	for n := 0; n < utf8.UTFMax-1 && i > 1 && !utf8.RuneStart(text[i-1]); n++ {
		i--
	}
	return max(i-1, 1)
}

// invalidUTF8 is where text ceases to be UTF-8, or -1.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func readLines(o *opened, name string, yield func(Row) error) error {
	for l := newLines(o); ; {
		text, err := l.next()
		row := Row{File: name, Line: l.line, Text: string(text)}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong):
			row = bad(name, l.line, "", "line %v", err)
		case err != nil:
			return err
		case len(text) == 0:
			continue
		case !utf8.Valid(text):
			row = bad(name, l.line, "", "text is not UTF-8 at byte %d of the line", invalidUTF8(text)+1)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

// readParagraphs gives what stands between blank lines. A paragraph with a bad line is bad.
func readParagraphs(o *opened, name string, yield func(Row) error) error {
	var text []byte
	var fault *RowError
	start := 0
	give := func() error {
		row := Row{File: name, Line: start, Text: string(text), bad: fault}
		if start == 0 {
			return nil
		}
		text, fault, start = text[:0], nil, 0
		return yield(row)
	}
	for l := newLines(o); ; {
		b, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			return give()
		case err != nil && !errors.Is(err, errTooLong):
			return err
		case err == nil && len(bytes.TrimSpace(b)) == 0:
			if err := give(); err != nil {
				return err
			}
			continue
		}
		if start == 0 {
			start = l.line
		} else if len(text) > 0 {
			text = append(text, '\n')
		}
		if fault != nil {
			continue
		}
		if err == nil && len(text)+len(b) > maxRow {
			err = errTooLong
		}
		if err != nil {
			fault = bad(name, l.line, "", "paragraph %v", err).bad
		} else if !utf8.Valid(b) {
			fault = bad(name, l.line, "", "text is not UTF-8 at byte %d of the line", invalidUTF8(b)+1).bad
		}
		if text = append(text, b...); fault != nil {
			text = text[:0]
		}
	}
}
