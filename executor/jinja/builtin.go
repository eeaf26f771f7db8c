package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// globals are the functions that every template has.
var globals = map[string]any{
	"raise_exception": function(func(_ *state, line int, args []any, _ map[string]any) any {
		msg := ""
		if len(args) > 0 {
			msg = text(args[0])
		}
		panic(fault{line, msg, true})
	}),
	"strftime_now": function(func(s *state, line int, args []any, _ map[string]any) any {
		if len(args) != 1 {
			raise(line, "strftime_now wants a format")
		}
		return strftime(s.now, text(args[0]))
	}),
	"namespace": function(func(_ *state, line int, args []any, named map[string]any) any {
		d := dictOf(line, args, named)
		d.mutable = true
		return d
	}),
	"dict": function(func(_ *state, line int, args []any, named map[string]any) any { return dictOf(line, args, named) }),
	"range": function(func(_ *state, line int, args []any, _ map[string]any) any {
		var n [3]int64
		for i, v := range args {
			var ok bool
			if n[min(i, 2)], ok = whole(v); !ok {
				raise(line, "range wants whole numbers, has %s", kind(v))
			}
		}
		from, to, step := int64(0), n[0], int64(1)
		if len(args) > 1 {
			from, to = n[0], n[1]
		}
		if len(args) > 2 {
			step = n[2]
		}
		if len(args) == 0 || step == 0 || (to-from)/step > maxRange {
			raise(line, "range of %v to %v, more than %d numbers", from, to, maxRange)
		}
		l := NewList()
		for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
			l.items = append(l.items, i)
		}
		return l
	}),
}

func dictOf(line int, args []any, named map[string]any) *Dict {
	d := NewDict()
	for _, v := range args {
		m, ok := v.(*Dict)
		if !ok {
			raise(line, "want a dictionary, have %s", kind(v))
		}
		for _, k := range m.keys {
			d.Set(k, m.values[k])
		}
	}
	names := make([]string, 0, len(named))
	for k := range named {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		d.Set(k, named[k])
	}
	return d
}

// strftime formats a time as C does, in the C locale.
func strftime(t time.Time, format string) string {
	layouts := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'B': "January", 'b': "Jan", 'h': "Jan",
		'A': "Monday", 'a': "Mon", 'y': "06", 'I': "03", 'p': "PM", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05",
		'D': "01/02/06", 'R': "15:04", 'e': "_2", 'j': "002", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05"}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch c := format[i]; {
		case c == '%':
			b.WriteByte('%')
		case c == '-' && i+1 < len(format):
			i++
			b.WriteString(strings.TrimLeft(t.Format(layouts[format[i]]), "0 "))
		case layouts[c] != "":
			b.WriteString(t.Format(layouts[c]))
		default:
			b.WriteByte('%')
			b.WriteByte(c)
		}
	}
	return b.String()
}

const blanks = " \t\n\r\v\f\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

// method is a method of a value, nil if it has none of that name.
func method(of any, name string) any {
	switch of := of.(type) {
	case string:
		if f, ok := stringMethods[name]; ok {
			return function(func(s *state, line int, args []any, named map[string]any) any { return f(s, line, of, args) })
		}
	case *Dict:
		if of.mutable {
			return nil
		}
		if f, ok := dictMethods[name]; ok {
			return function(func(s *state, line int, args []any, _ map[string]any) any { return f(line, of, args) })
		}
	case *List:
		if name == "index" || name == "count" {
			return function(func(s *state, line int, args []any, _ map[string]any) any {
				n := int64(0)
				for i, v := range of.items {
					if len(args) == 1 && equal(v, args[0]) {
						if name == "index" {
							return int64(i)
						}
						n++
					}
				}
				if name == "index" {
					raise(line, "index: the value is not in the list")
				}
				return n
			})
		}
		if name == "append" || name == "extend" || name == "pop" || name == "insert" {
			return function(func(_ *state, line int, _ []any, _ map[string]any) any {
				raise(line, "%s would change a list, which a template must not", name)
				return nil
			})
		}
	}
	return nil
}

var dictMethods = map[string]func(line int, d *Dict, args []any) any{
	"items": func(_ int, d *Dict, _ []any) any { return pairs(d) },
	"keys": func(_ int, d *Dict, _ []any) any {
		l := NewList()
		for _, k := range d.keys {
			l.items = append(l.items, k)
		}
		return l
	},
	"values": func(_ int, d *Dict, _ []any) any {
		l := NewList()
		for _, k := range d.keys {
			l.items = append(l.items, d.values[k])
		}
		return l
	},
	"get": func(line int, d *Dict, args []any) any {
		if len(args) == 0 {
			raise(line, "get wants a key")
		}
		if v, ok := d.values[text(args[0])]; ok {
			return v
		}
		if len(args) > 1 {
			return args[1]
		}
		return nil
	},
}

func pairs(d *Dict) *List {
	l := NewList()
	for _, k := range d.keys {
		l.items = append(l.items, &List{[]any{k, d.values[k]}, true})
	}
	return l
}

// argument is an argument that is a string, or what it is without.
func argument(line int, args []any, i int, none string) string {
	if i >= len(args) || args[i] == nil {
		return none
	}
	s, ok := plain(args[i]).(string)
	if !ok {
		raise(line, "want a string, have %s", kind(args[i]))
	}
	return s
}

func round(v float64, digits int64, method string) float64 {
	p := math.Pow(10, float64(digits))
	switch method {
	case "ceil":
		return math.Ceil(v*p) / p
	case "floor":
		return math.Floor(v*p) / p
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', int(max(digits, 0)), 64), 64)
	if err != nil {
		return v
	}
	return f
}
