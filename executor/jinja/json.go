package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Value reads JSON as a value, keeping the order of keys.
func Value(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("JSON: more than one value")
	}
	return v, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON: more than %d levels", maxDepth)
	}
	switch t := t.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			l := NewList()
			for d.More() {
				v, err := value(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, v)
			}
			_, err := d.Token()
			return l, err
		}
		m := NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		_, err := d.Token()
		return m, err
	}
	return t, nil // string, bool, nil
}

// dump writes v as json.dumps(v, ensure_ascii=ascii, indent=indent) does.
func dump(b *strings.Builder, v any, indent string, item, colon, at string, ascii, sorted bool) error {
	open, next, closing := "", item, ""
	if indent != "" {
		open, next, closing = "\n"+at+indent, strings.TrimRight(item, " ")+"\n"+at+indent, "\n"+at
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64, float64:
		b.WriteString(repr(v))
	case string:
		dumpString(b, v, ascii)
	case markup:
		dumpString(b, string(v), ascii)
	case *List:
		b.WriteString("[")
		for i, x := range v.items {
			b.WriteString(map[bool]string{true: open, false: next}[i == 0])
			if err := dump(b, x, indent, item, colon, at+indent, ascii, sorted); err != nil {
				return err
			}
		}
		if len(v.items) > 0 {
			b.WriteString(closing)
		}
		b.WriteString("]")
	case *Dict:
		keys := v.keys
		if sorted {
			keys = slices.Sorted(slices.Values(keys))
		}
		b.WriteString("{")
		for i, k := range keys {
			b.WriteString(map[bool]string{true: open, false: next}[i == 0])
			dumpString(b, k, ascii)
			b.WriteString(colon)
			if err := dump(b, v.values[k], indent, item, colon, at+indent, ascii, sorted); err != nil {
				return err
			}
		}
		if len(keys) > 0 {
			b.WriteString(closing)
		}
		b.WriteString("}")
	default:
		return fmt.Errorf("%s cannot be written as JSON", kind(v))
	}
	return nil
}

func dumpString(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20 || ascii && r > 0x7e && r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		case ascii && r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// JSON writes a value as JSON.
func JSON(v any) (string, error) {
	var b strings.Builder
	err := dump(&b, v, "", ", ", ": ", "", false, false)
	return b.String(), err
}
