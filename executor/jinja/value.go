package jinja

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The values of templates are nil, bool, int64, float64, string, *List, *Dict,
// and functions, namespaces and undefined values of the package's own.

// List is a list or a tuple.
type List struct {
	items []any
	tuple bool
}

// Dict is a dictionary that keeps the order of its keys.
type Dict struct {
	keys    []string
	values  map[string]any
	mutable bool // a namespace
}

type undefined struct{ name string }

// markup is a text that the filter safe or escape made: what is added to it by +
// is escaped.
type markup string

// plain is v, with markup as the string that it is.
func plain(v any) any {
	if m, ok := v.(markup); ok {
		return string(m)
	}
	return v
}

// escaped is a text as markup.
func escaped(v any) markup {
	if m, ok := v.(markup); ok {
		return m
	}
	return markup(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(text(v)))
}

type function func(s *state, line int, args []any, named map[string]any) any

// NewDict returns an empty dictionary.
func NewDict() *Dict { return &Dict{values: map[string]any{}} }

// Set adds or replaces a value.
func (d *Dict) Set(key string, v any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = v
}

// Get returns a value.
func (d *Dict) Get(key string) (any, bool) { v, ok := d.values[key]; return v, ok }

// NewList returns a list.
func NewList(items ...any) *List { return &List{items: items} }

// Len is the number of items.
func (l *List) Len() int { return len(l.items) }

// At returns an item.
func (l *List) At(i int) any { return l.items[i] }

// Append adds items.
func (l *List) Append(items ...any) { l.items = append(l.items, items...) }

func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *List:
		return len(v.items) > 0
	case *Dict:
		return v.mutable || len(v.keys) > 0
	}
	return true
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func equal(a, b any) bool {
	x, ok := number(a)
	y, ok2 := number(b)
	if ok || ok2 {
		return ok && ok2 && x == y
	}
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		b, ok := b.(*List)
		return ok && slices.EqualFunc(a.items, b.items, equal)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for k, v := range a.values {
			if w, ok := b.values[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return false
}

func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case undefined:
		return "undefined"
	case bool:
		return "a bool"
	case int64, float64:
		return "a number"
	case string, markup:
		return "a string"
	case *List:
		return "a list"
	case *Dict:
		if v.mutable {
			return "a namespace"
		}
		return "a dictionary"
	}
	return "a function"
}

// text is str(v) of Python.
func text(v any) string {
	if s, ok := plain(v).(string); ok {
		return s
	}
	if _, ok := v.(undefined); ok {
		return ""
	}
	return repr(v)
}

// repr is repr(v) of Python.
func repr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return float(v)
	case string:
		return quote(v)
	case markup:
		return "Markup(" + quote(string(v)) + ")"
	case undefined:
		return "Undefined"
	case *List:
		parts := make([]string, len(v.items))
		for i, x := range v.items {
			parts[i] = repr(x)
		}
		switch {
		case v.tuple && len(parts) == 1:
			return "(" + parts[0] + ",)"
		case v.tuple:
			return "(" + strings.Join(parts, ", ") + ")"
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *Dict:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = quote(k) + ": " + repr(v.values[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "<function>"
}

func float(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	case f == math.Trunc(f) && math.Abs(f) < 1e16:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case math.Abs(f) >= 1e-4 && math.Abs(f) < 1e16:
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

func quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsPrint(r) && r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(q)
	return b.String()
}

// Keys are the keys, in their order.
func (d *Dict) Keys() []string { return slices.Clone(d.keys) }
