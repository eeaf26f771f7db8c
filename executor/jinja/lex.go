package jinja

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// token is one of: text, "{{", "}}", "{%", "%}", name, string, int, float, an
// operator, or "" at the end.
type token struct {
	kind string
	text string
	line int
}

func raise(line int, format string, args ...any) {
	panic(fault{line: line, msg: fmt.Sprintf(format, args...)})
}

// lex cuts a template into tokens. The first newline after a block is dropped,
// and so are blanks between the beginning of a line and a block.
func lex(src string) []token {
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{src: src, line: 1}
	for l.at < len(l.src) {
		l.next()
	}
	return append(l.toks, token{line: l.line})
}

type lexer struct {
	src   string
	at    int
	line  int
	toks  []token
	strip bool // the tag before asks for no blanks after it
}

// next takes the text up to a tag, and the tag.
func (l *lexer) next() {
	rest := l.src[l.at:]
	i := nextTag(rest)
	if i < 0 {
		l.text(rest)
		l.at = len(l.src)
		return
	}
	body, open := rest[:i], rest[i:i+2]
	after := i + 2
	switch mark := rest[min(after, len(rest)-1)]; {
	case mark == '-' && after < len(rest):
		body = strings.TrimRight(body, " \t\n\v\f")
		after++
	case mark == '+' && after < len(rest):
		after++
	case open != "{{": // blanks before a block that begins its line
		line := strings.LastIndexByte(body, '\n') + 1
		begins := line > 0 || l.at == 0 || l.src[l.at-1] == '\n'
		if strings.Trim(body[line:], " \t") == "" && begins {
			body = body[:line]
		}
	}
	skipped := rest[:i]
	l.text(body)
	l.line += strings.Count(skipped, "\n") - strings.Count(body, "\n")
	l.at += after
	switch open {
	case "{#":
		end := strings.Index(l.src[l.at:], "#}")
		if end < 0 {
			raise(l.line, "a comment does not end")
		}
		inside := l.src[l.at : l.at+end]
		l.line += strings.Count(inside, "\n")
		l.at += end + 2
		l.end(strings.HasSuffix(inside, "-"), true)
	default:
		l.tag(open)
	}
}

// nextTag is where the next tag opens, or -1.
func nextTag(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

func (l *lexer) text(s string) {
	whole := s
	if l.strip {
		s = strings.TrimLeft(s, " \t\n\v\f")
	}
	l.strip = false
	if s != "" {
		l.toks = append(l.toks, token{"text", s, l.line + strings.Count(whole[:len(whole)-len(s)], "\n")})
	}
	l.line += strings.Count(whole, "\n")
}

// end is after a tag: blanks are dropped if it says so, else the first newline
// after a block.
func (l *lexer) end(strip, block bool) {
	l.strip = strip
	if !strip && block && l.at < len(l.src) && l.src[l.at] == '\n' {
		l.at++
		l.line++
	}
}

// operators, the longest first.
var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|", "=", ";"}

// tag takes the tokens of {{ }} or {% %}.
func (l *lexer) tag(open string) {
	first, start := len(l.toks), l.line
	l.toks = append(l.toks, token{open, "", l.line})
	closing := map[string]string{"{{": "}}", "{%": "%}"}[open]
	depth := 0
	for {
		rest := l.src[l.at:]
		if rest == "" {
			raise(start, "%q is not closed", open)
		}
		c := rest[0]
		if c == ' ' || c == '\t' || c == '\n' {
			if c == '\n' {
				l.line++
			}
			l.at++
			continue
		}
		if depth == 0 {
			for _, mark := range []string{"-", "+", ""} {
				if strings.HasPrefix(rest, mark+closing) {
					l.at += len(mark) + 2
					l.toks = append(l.toks, token{closing, "", l.line})
					if open == "{%" && len(l.toks) == first+3 && l.toks[first+1].text == "raw" {
						l.raw(first, mark == "-")
						return
					}
					l.end(mark == "-", open == "{%" && mark != "+")
					return
				}
			}
		}
		depth += l.one(rest)
	}
}

// one takes one token, and gives by how much it opens brackets.
func (l *lexer) one(rest string) int {
	c := rest[0]
	switch {
	case c == '"' || c == '\'':
		l.quoted(rest)
		return 0
	case c >= '0' && c <= '9':
		n := 1
		kind := "int"
		for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_' || rest[n] == '.' && n+1 < len(rest) && rest[n+1] >= '0' && rest[n+1] <= '9' ||
			(rest[n] == 'e' || rest[n] == 'E') && n+1 < len(rest)) {
			if rest[n] == '.' || rest[n] == 'e' || rest[n] == 'E' {
				kind = "float"
			}
			n++
		}
		l.push(kind, strings.ReplaceAll(rest[:n], "_", ""), n)
		return 0
	}
	if n := nameLength(rest); n > 0 {
		l.push("name", rest[:n], n)
		return 0
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			l.push(op, op, len(op))
			return strings.Count("([{", op) - strings.Count(")]}", op)
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	raise(l.line, "unexpected %q", r)
	return 0
}

func nameLength(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 0x80 || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}

func (l *lexer) push(kind, text string, n int) {
	l.toks = append(l.toks, token{kind, text, l.line})
	l.at += n
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", 'b': "\b", 'f': "\f", 'a': "\a", 'v': "\v", '0': "\x00", '\n': ""}

func (l *lexer) quoted(rest string) {
	var b strings.Builder
	start := l.line
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == rest[0]:
			l.toks = append(l.toks, token{"string", b.String(), start})
			l.at += i + 1
			return
		case c == '\\' && i+1 < len(rest):
			i++
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[i]]
			if e, ok := escapes[rest[i]]; ok {
				b.WriteString(e)
			} else if digits > 0 && i+digits < len(rest) {
				var r rune
				if _, err := fmt.Sscanf(rest[i+1:i+1+digits], "%x", &r); err != nil {
					raise(l.line, "a bad escape in a string")
				}
				b.WriteRune(r)
				i += digits
			} else {
				b.WriteByte('\\')
				b.WriteByte(rest[i])
			}
		default:
			if c == '\n' {
				l.line++
			}
			b.WriteByte(c)
		}
	}
	raise(start, "a string does not end")
}

// raw takes the text up to endraw as it is.
func (l *lexer) raw(first int, strip bool) {
	l.toks = l.toks[:first]
	rest := l.src[l.at:]
	for i := range rest {
		if !strings.HasPrefix(rest[i:], "{%") {
			continue
		}
		end := strings.Index(rest[i:], "%}")
		if end < 0 {
			break
		}
		if inside := rest[i+2 : i+end]; strings.Trim(inside, "-+ \t\n") == "endraw" {
			body := rest[:i]
			if strings.HasPrefix(inside, "-") {
				body = strings.TrimRight(body, " \t\n")
			}
			l.strip = strip
			l.text(body)
			l.line += strings.Count(rest[len(body):i+end], "\n")
			l.at += i + end + 2
			l.end(strings.HasSuffix(inside, "-"), true)
			return
		}
	}
	raise(l.line, "raw does not end")
}
