package npy

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"pipe.dev/compiler/ir"
)

// Header is what a .npy file says of its array.
type Header struct {
	Elem    Element
	Fortran bool // the first axis varies fastest
	Shape   []int
	Elems   int // the product of Shape
}

// MaxAxes is the most axes of an array; NumPy's own limit.
const MaxAxes = 64

// Parse reads the text of a .npy header: a Python literal such as
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//
// Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
func Parse(text string) (Header, error) {
	p := literal{rest: text}
	var h Header
	seen := map[string]bool{}
	if err := p.expect("{"); err != nil {
		return h, err
	}
	for !p.accept("}") {
		key, err := p.text()
		if err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("header has the key %q twice", short(key))
		}
		seen[key] = true
		if err := p.expect(":"); err != nil {
			return h, err
		}
		if err := h.field(&p, key); err != nil {
			return h, err
		}
		if !p.accept(",") {
			if err := p.expect("}"); err != nil {
				return h, err
			}
			break
		}
	}
	if p.space(); p.rest != "" {
		return h, fmt.Errorf("header goes on after its end: %q", short(p.rest))
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("header lacks %q", key)
		}
	}
	n, ok := Product(h.Shape, max(h.Elem.Size, h.Elem.To.Size()))
	if !ok {
		return h, fmt.Errorf("shape %v has more bytes than can be counted", h.Shape)
	}
	h.Elems = n
	return h, nil
}

// field reads the value of one key.
func (h *Header) field(p *literal, key string) error {
	switch key {
	case "descr":
		if p.next("[") {
			return errors.New("array is structured (its dtype is a list of fields), which cannot be read")
		}
		descr, err := p.text()
		if err != nil {
			return err
		}
		h.Elem, err = parseDescr(descr)
		return err
	case "fortran_order":
		switch {
		case p.accept("True"):
			h.Fortran = true
		case !p.accept("False"):
			return fmt.Errorf("fortran_order is %q, want True or False", short(p.rest))
		}
		return nil
	case "shape":
		var err error
		h.Shape, err = p.tuple()
		return err
	}
	return fmt.Errorf("header has the unknown key %q", short(key))
}

// parseDescr reads a dtype string such as "<f4": byte order, kind, bytes.
func parseDescr(descr string) (Element, error) {
	if descr == "" {
		return Element{}, errors.New("dtype is empty")
	}
	e, ok := map[string]Element{
		"f2": {Raw: "F16", Size: 2, To: ir.F16},
		"f4": {Raw: "F32", Size: 4, To: ir.F32},
		"f8": {Raw: "F64", Size: 8, To: ir.F64},
		"i1": {Raw: "I8", Size: 1, To: ir.I8},
		"i2": {Raw: "I16", Size: 2, To: ir.I32, Signed: true},
		"i4": {Raw: "I32", Size: 4, To: ir.I32},
		"i8": {Raw: "I64", Size: 8, To: ir.I64},
		"u1": {Raw: "U8", Size: 1, To: ir.U8},
		"u2": {Raw: "U16", Size: 2, To: ir.I32},
		"u4": {Raw: "U32", Size: 4, To: ir.I64},
		"b1": {Raw: "BOOL", Size: 1, To: ir.Bool},
	}[descr[1:]]
	switch {
	case strings.HasPrefix(descr[1:], "O"):
		return e, fmt.Errorf("dtype %q holds Python objects, which are never read", short(descr))
	case descr[1:] == "V2":
		return e, fmt.Errorf("dtype %q is raw bytes (bfloat16 is saved like this): save it as float32", descr)
	case !ok:
		return e, fmt.Errorf("dtype %q cannot be read; want f2, f4, f8, i1, i2, i4, i8, u1, u2, u4 or b1", short(descr))
	}
	switch order := descr[0]; {
	case order == '>':
		e.Big = true
	case order == '|' && e.Size > 1, order != '<' && order != '|':
		return e, fmt.Errorf("dtype %q has no byte order, < or >", short(descr))
	}
	return e, nil
}

// Product multiplies shape and reports whether that many elements of size
// bytes can be counted. A zero does not excuse sizes that overflow.
func Product(shape []int, size int) (int, bool) {
	n, empty := uint64(size), false
	for _, s := range shape {
		if s == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	if empty {
		return 0, true
	}
	return int(n) / size, true
}

// literal reads the few Python literals that headers hold.
type literal struct{ rest string }

func (p *literal) space() { p.rest = strings.TrimLeft(p.rest, " \t\n\r") }

func (p *literal) next(s string) bool {
	p.space()
	return strings.HasPrefix(p.rest, s)
}

func (p *literal) accept(s string) bool {
	if !p.next(s) {
		return false
	}
	p.rest = p.rest[len(s):]
	return true
}

func (p *literal) expect(s string) error {
	if !p.accept(s) {
		return fmt.Errorf("header wants %s at %q", s, short(p.rest))
	}
	return nil
}

// text reads a string without escapes.
func (p *literal) text() (string, error) {
	p.space()
	if p.rest == "" || p.rest[0] != '\'' && p.rest[0] != '"' {
		return "", fmt.Errorf("header wants a string at %q", short(p.rest))
	}
	s, rest, ok := strings.Cut(p.rest[1:], p.rest[:1])
	if !ok || strings.Contains(s, `\`) || !utf8.ValidString(s) {
		return "", fmt.Errorf("header holds a string that cannot be read: %q", short(p.rest))
	}
	p.rest = rest
	return s, nil
}

// tuple reads a tuple of sizes: (), (3,), (3, 4).
func (p *literal) tuple() ([]int, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	out := []int{}
	for !p.accept(")") {
		p.space()
		end := 0
		for end < len(p.rest) && strings.IndexByte("+-0123456789", p.rest[end]) >= 0 {
			end++
		}
		n, err := strconv.Atoi(p.rest[:end])
		switch {
		case errors.Is(err, strconv.ErrRange):
			return nil, fmt.Errorf("shape holds %s, which is out of range", short(p.rest[:end]))
		case err != nil:
			return nil, fmt.Errorf("shape wants a number at %q", short(p.rest))
		case n < 0:
			return nil, fmt.Errorf("shape holds the negative %d", n)
		case len(out) == MaxAxes:
			return nil, fmt.Errorf("shape has more than %d axes", MaxAxes)
		}
		out = append(out, n)
		p.rest = strings.TrimPrefix(p.rest[end:], "L") // Python 2 wrote 3L
		if !p.accept(",") {
			if len(out) == 1 {
				return nil, errors.New("shape is a number in parentheses, not a tuple")
			}
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			break
		}
	}
	return out, nil
}

// short cuts text of unbounded length for a message.
func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
