package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document, hence the recursion of its readers.
const maxDepth = 64

// document is JSON text (RFC 8259) whose syntax was checked once, so that its values can be read lazily by position:
// a vocabulary of 150,000 entries is then read without a tree of it.
type document struct {
	name string // of the file, for errors
	text string
}

// value is one value of a document: text[start:end]. Its path is spelt out only when an error needs it.
type value struct {
	doc        *document
	start, end int
	up         *value // the value that holds this one, nil at the root
	key        string // its name there, when up is an object
	index      int    // its place there, when up is an array
}

// parseDocument checks the syntax of data and returns its root value.
func parseDocument(name string, data []byte) (value, error) {
	d := &document{name: name, text: string(data)}
	if at := invalidUTF8(d.text); at >= 0 {
		return value{}, d.errorAt(at, "not UTF-8")
	}
	start := d.space(0)
	end, err := d.skip(start, 0)
	if err != nil {
		return value{}, err
	}
	if rest := d.space(end); rest < len(d.text) {
		return value{}, d.errorAt(rest, "text after the end of the document")
	}
	return value{doc: d, start: start, end: end}, nil
}

// invalidUTF8 returns the offset of the first byte of s that is not part of UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// errorAt makes an error of the form file:line:column: fact.
func (d *document) errorAt(at int, format string, args ...any) error {
	at = min(at, len(d.text))
	line := 1 + strings.Count(d.text[:at], "\n")
	column := at - strings.LastIndexByte(d.text[:at], '\n')
	return fmt.Errorf("%s:%d:%d: %s", d.name, line, column, fmt.Sprintf(format, args...))
}

// errorf makes an error of the form file:line:column: path: fact.
func (v value) errorf(format string, args ...any) error {
	fact := fmt.Sprintf(format, args...)
	if p := v.path(); p != "" {
		fact = p + ": " + fact
	}
	return v.doc.errorAt(v.start, "%s", fact)
}

// path is where the value stands in its document, as in pre_tokenizer.pretokenizers[0].pattern.
func (v value) path() string {
	if v.up == nil {
		return ""
	}
	above := v.up.path()
	switch {
	case v.up.kind() == '[':
		return fmt.Sprintf("%s[%d]", above, v.index)
	case above == "":
		return v.key
	}
	return above + "." + v.key
}

// space returns the offset of the first byte from i on that is not JSON white space.
func (d *document) space(i int) int {
	for i < len(d.text) {
		switch d.text[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// skip checks the value that starts at i and returns the offset after it.
func (d *document) skip(i, depth int) (int, error) {
	if i >= len(d.text) {
		return 0, d.errorAt(i, "unexpected end of the document")
	}
	if depth > maxDepth {
		return 0, d.errorAt(i, "nested deeper than %d levels", maxDepth)
	}
	switch c := d.text[i]; {
	case c == '{':
		return d.skipObject(i, depth)
	case c == '[':
		return d.skipArray(i, depth)
	case c == '"':
		return d.skipString(i)
	case c == '-' || c >= '0' && c <= '9':
		return d.skipNumber(i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(d.text[i:], word) {
			return i + len(word), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(d.text[i:])
	return 0, d.errorAt(i, "unexpected %q, want a value", r)
}

// at is the byte at i, or 0 past the end.
func (d *document) at(i int) byte {
	if i < len(d.text) {
		return d.text[i]
	}
	return 0
}

func (d *document) skipObject(i, depth int) (int, error) {
	i = d.space(i + 1)
	if d.at(i) == '}' {
		return i + 1, nil
	}
	for {
		if d.at(i) != '"' {
			return 0, d.errorAt(i, "want a quoted name")
		}
		end, err := d.skipString(i)
		if err != nil {
			return 0, err
		}
		if i = d.space(end); d.at(i) != ':' {
			return 0, d.errorAt(i, "want ':' after a name")
		}
		if end, err = d.skip(d.space(i+1), depth+1); err != nil {
			return 0, err
		}
		switch i = d.space(end); d.at(i) {
		case '}':
			return i + 1, nil
		case ',':
			i = d.space(i + 1)
		default:
			return 0, d.errorAt(i, "want ',' or '}'")
		}
	}
}

func (d *document) skipArray(i, depth int) (int, error) {
	i = d.space(i + 1)
	if d.at(i) == ']' {
		return i + 1, nil
	}
	for {
		end, err := d.skip(i, depth+1)
		if err != nil {
			return 0, err
		}
		switch i = d.space(end); d.at(i) {
		case ']':
			return i + 1, nil
		case ',':
			i = d.space(i + 1)
		default:
			return 0, d.errorAt(i, "want ',' or ']'")
		}
	}
}

func (d *document) skipString(i int) (int, error) {
	start := i
	for i++; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return 0, d.errorAt(i, "control character in a string")
		case c == '\\':
			i++
			switch d.at(i) {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := d.hex4(i + 1); !ok {
					return 0, d.errorAt(i, "want four hexadecimal digits after \\u")
				}
				i += 4
			default:
				return 0, d.errorAt(i, "unknown escape in a string")
			}
		}
	}
	return 0, d.errorAt(start, "string without an end")
}

// hex4 is the number of the four hexadecimal digits from i on.
func (d *document) hex4(i int) (rune, bool) {
	if i+4 > len(d.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(d.text[i:i+4], 16, 16)
	return rune(n), err == nil && d.text[i] != '+' && d.text[i] != '_'
}

func (d *document) skipNumber(i int) (int, error) {
	start := i
	for c := d.at(i); c >= '0' && c <= '9'; c = d.at(i) {
		i++
	}
	digits := i - start // an integer that is not negative is by far the usual number
	for strings.IndexByte("+-.0123456789eE", d.at(i)) >= 0 && i < len(d.text) {
		i++
	}
	if digits == i-start && (digits == 1 || d.text[start] != '0') {
		return i, nil
	}
	s := strings.TrimPrefix(d.text[start:i], "-")
	leading := len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
	if _, err := strconv.ParseFloat(s, 64); err != nil || leading || s[0] < '0' || s[0] > '9' {
		return 0, d.errorAt(start, "bad number %.40q", d.text[start:i])
	}
	return i, nil
}
