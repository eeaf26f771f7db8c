package schema

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// syntaxErrors keeps the first mistake of each line. A bracket that is never
// closed is told where it stands, not at the end of the file.
func syntaxErrors(s *source, err error) Errors {
	var list Errors
	lines := map[int]bool{}
	end := false
	for _, e := range errors.Errors(err) {
		at := e.Position().Position()
		if len(list) > 0 && s.closes(at.Line) {
			continue // what follows from a mistake further up
		}
		format, args := e.Msg()
		msg := fmt.Sprintf(format, args...)
		if strings.Contains(msg, "found 'EOF'") {
			end = true // what is missing is missing further up
			continue
		}
		if !lines[at.Line] {
			lines[at.Line] = true
			list = append(list, s.syntaxError(at.Line, at.Column, msg))
		}
	}
	if e := brackets(s); e != nil && (end && len(list) == 0 || !strings.HasSuffix(e.Msg, "is never closed")) {
		return Errors{e}
	}
	if len(list) == 0 {
		at := placeAt(s.name, s.data, len(bytes.TrimRight(s.data, " \t\r\n")))
		list = Errors{s.syntaxError(at.Line, at.Col, "the file ends too early")}
	}
	return list.sorted()
}

// closes reports whether a line begins by closing a bracket.
func (s *source) closes(line int) bool {
	lines := strings.Split(string(s.data), "\n")
	if line < 1 || line > len(lines) {
		return false
	}
	text := strings.TrimSpace(lines[line-1])
	return text != "" && strings.Contains("}])", text[:1])
}

// assignment is a line that gives a field its value by =.
var assignment = regexp.MustCompile(`^\s*[\w"-]+\s*(=)[^=~]`)

// syntaxError places a message of the parser. For = in place of :, the parser
// complains about the line after it.
func (s *source) syntaxError(line, col int, msg string) *Error {
	lines := strings.Split(string(s.data), "\n")
	for n := line; n >= max(1, line-1); n-- {
		if n > len(lines) {
			continue
		}
		if m := assignment.FindStringSubmatchIndex(lines[n-1]); m != nil && !strings.Contains(lines[n-1][m[3]:], ":") {
			return &Error{Pos: ir.Pos{File: s.name, Line: n, Col: m[2] + 1}, Msg: "syntax: want : between a field and its value, have ="}
		}
	}
	return &Error{Pos: ir.Pos{File: s.name, Line: line, Col: col}, Msg: "syntax: " + msg}
}

// bracket is an opening bracket, and the indentation of its line.
type bracket struct {
	tok    token.Token
	offset int
	indent int
}

// opens is the bracket that each closing one belongs to.
var opens = map[token.Token]token.Token{token.RBRACE: token.LBRACE, token.RBRACK: token.LBRACK, token.RPAREN: token.LPAREN}

// brackets finds a bracket that is never closed or closes nothing. Where lines
// are indented, it is the one that the indentation shows.
func brackets(s *source) *Error {
	var open []bracket
	var unclosed *bracket // whose closing one is that of another, by the indentation
	stray := -1           // a closing one that closes another's, by the indentation
	fail := func(offset int, format string, args ...any) *Error {
		return &Error{Pos: placeAt(s.name, s.data, offset), Msg: "syntax: " + fmt.Sprintf(format, args...)}
	}
	var scan scanner.Scanner
	scan.Init(token.NewFile(s.name, -1, len(s.data)), s.data, func(token.Pos, string, []any) {}, 0)
	for {
		pos, tok, _ := scan.Scan()
		switch tok {
		case token.INTERPOLATION: // its brackets belong to the string
			return nil
		case token.LBRACE, token.LBRACK, token.LPAREN:
			open = append(open, bracket{tok, pos.Offset(), indentAt(s.data, pos.Offset())})
		case token.RBRACE, token.RBRACK, token.RPAREN:
			indent := indentAt(s.data, pos.Offset())
			if len(open) == 0 {
				if stray >= 0 {
					return fail(stray, "%v has no opening one of its own", tok)
				}
				return fail(pos.Offset(), "%v closes nothing", tok)
			}
			last := open[len(open)-1]
			if last.tok != opens[tok] {
				return fail(last.offset, "%v is never closed", last.tok)
			}
			if unclosed == nil && startsLine(s.data, pos.Offset()) && indent < last.indent {
				unclosed = &last
			}
			if stray < 0 && indent > last.indent {
				stray = pos.Offset()
			}
			open = open[:len(open)-1]
		case token.EOF:
			if len(open) == 0 {
				return nil
			}
			if unclosed == nil {
				unclosed = &open[0]
			}
			return fail(unclosed.offset, "%v is never closed", unclosed.tok)
		}
	}
}

// indentAt is how far the line of an offset is indented, in bytes.
func indentAt(data []byte, offset int) int {
	line := data[bytes.LastIndexByte(data[:offset], '\n')+1:]
	return len(line) - len(bytes.TrimLeft(line, " \t"))
}

func startsLine(data []byte, offset int) bool {
	start := bytes.LastIndexByte(data[:offset], '\n') + 1
	return len(bytes.TrimSpace(data[start:offset])) == 0
}
