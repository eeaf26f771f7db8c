package tokenizer

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is the first byte of the value: one of { [ " t f n - 0..9.
func (v value) kind() byte { return v.doc.text[v.start] }

// is names a kind as errors do.
func (v value) is() string {
	switch v.kind() {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// absent tells that the value is null or that there is none.
func (v value) absent() bool { return v.doc == nil || v.kind() == 'n' }

// fields calls f with every field of an object, in order. The document is already known to be well formed.
func (v value) fields(f func(key string, field value) error) error {
	if v.kind() != '{' {
		return v.errorf("is %s, want an object", v.is())
	}
	d, up := v.doc, v
	for i := d.space(v.start + 1); d.text[i] != '}'; {
		end, err := d.skipString(i)
		if err != nil {
			return err
		}
		key, err := value{doc: d, start: i, end: end, up: v.up, key: v.key, index: v.index}.str()
		if err != nil {
			return err
		}
		i = d.space(d.space(end) + 1)
		if end, err = d.skip(i, 0); err != nil {
			return err
		}
		if err := f(key, value{doc: d, start: i, end: end, up: &up, key: key}); err != nil {
			return err
		}
		if i = d.space(end); d.text[i] == ',' {
			i = d.space(i + 1)
		}
	}
	return nil
}

// items calls f with every item of an array, in order.
func (v value) items(f func(item value) error) error {
	if v.kind() != '[' {
		return v.errorf("is %s, want an array", v.is())
	}
	d, up := v.doc, v
	for i, n := d.space(v.start+1), 0; d.text[i] != ']'; n++ {
		end, err := d.skip(i, 0)
		if err != nil {
			return err
		}
		if err := f(value{doc: d, start: i, end: end, up: &up, index: n}); err != nil {
			return err
		}
		if i = d.space(end); d.text[i] == ',' {
			i = d.space(i + 1)
		}
	}
	return nil
}

// object is an object's fields by name. The fields are few: vocabularies are read by fields instead.
type object struct {
	self   value
	byName map[string]value
}

// object reads an object; a name that comes twice is an error.
func (v value) object() (object, error) {
	o := object{v, map[string]value{}}
	err := v.fields(func(key string, field value) error {
		if _, twice := o.byName[key]; twice {
			return field.errorf("comes twice")
		}
		o.byName[key] = field
		return nil
	})
	return o, err
}

// need returns a field that must be there.
func (o object) need(key string) (value, error) {
	v := o.byName[key]
	if v.absent() {
		return v, o.self.errorf("has no %q", key)
	}
	return v, nil
}

// boolean is a field's truth, or otherwise where there is none.
func (o object) boolean(key string, otherwise bool) (bool, error) {
	v := o.byName[key]
	if v.absent() {
		return otherwise, nil
	}
	if k := v.kind(); k != 't' && k != 'f' {
		return false, v.errorf("is %s, want true or false", v.is())
	}
	return v.kind() == 't', nil
}

// str is a field's text, or "" where there is none.
func (o object) str(key string) (string, error) {
	if v := o.byName[key]; !v.absent() {
		return v.str()
	}
	return "", nil
}

// char is the one character that a field must hold.
func (o object) char(key string) (rune, error) {
	v, err := o.need(key)
	if err != nil {
		return 0, err
	}
	s, err := v.str()
	if err != nil {
		return 0, err
	}
	if r, n := utf8.DecodeRuneInString(s); n > 0 && n == len(s) {
		return r, nil
	}
	return 0, v.errorf("is %q, want one character", s)
}

// str is the text of a string; it shares the document's memory where nothing is escaped.
func (v value) str() (string, error) {
	if v.kind() != '"' {
		return "", v.errorf("is %s, want a string", v.is())
	}
	s := v.doc.text[v.start+1 : v.end-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			at := v.start + 1 + i
			r, _ := v.doc.hex4(at + 1)
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := v.doc.hex4(at + 7)
				if r = utf16.DecodeRune(r, low); !ok || s[i+1:min(i+3, len(s))] != `\u` || r == utf8.RuneError {
					return "", v.errorf("has half of a surrogate pair")
				}
				i += 6
			}
			b.WriteRune(r)
		default: // " \ /
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// integer is a whole number from 0 to 2³¹-1.
func (v value) integer() (int32, error) {
	if k := v.kind(); k != '-' && (k < '0' || k > '9') {
		return 0, v.errorf("is %s, want a whole number", v.is())
	}
	s := v.doc.text[v.start:v.end]
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, v.errorf("is %.40s, want a whole number from 0 to %d", s, math.MaxInt32)
	}
	return int32(n), nil
}

// number is any number.
func (v value) number() (float64, error) {
	if k := v.kind(); k != '-' && (k < '0' || k > '9') {
		return 0, v.errorf("is %s, want a number", v.is())
	}
	s := v.doc.text[v.start:v.end]
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, v.errorf("is %.40s, beyond a float64", s)
	}
	return x, nil
}
