package jinja

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filter is one filter of the table; it may use others by the tables of s.
type filter func(s *state, line int, v any, args []any, named map[string]any) any

// pass is argument i, or the one of a name, or what it is without.
func pass(args []any, named map[string]any, i int, name string, none any) any {
	if v, ok := named[name]; ok {
		return v
	}
	if i < len(args) {
		return args[i]
	}
	return none
}

func filters() map[string]filter {
	str := func(f func(string) string) filter {
		return func(_ *state, _ int, v any, _ []any, _ map[string]any) any { return f(text(v)) }
	}
	t := map[string]filter{
		"upper": str(strings.ToUpper), "lower": str(strings.ToLower), "title": str(title), "capitalize": str(capitalize),
		"string": str(func(s string) string { return s }),
		"safe":   func(_ *state, _ int, v any, _ []any, _ map[string]any) any { return markup(text(v)) },
		"escape": func(_ *state, _ int, v any, _ []any, _ map[string]any) any { return escaped(v) },
		"e":      func(_ *state, _ int, v any, _ []any, _ map[string]any) any { return escaped(v) },
		"trim": func(_ *state, line int, v any, args []any, named map[string]any) any {
			return strings.Trim(text(v), argument(line, []any{pass(args, named, 0, "chars", nil)}, 0, blanks))
		},
		"replace": func(s *state, line int, v any, args []any, _ map[string]any) any {
			return stringMethods["replace"](s, line, text(v), args)
		},
		"length": length, "count": length,
		"join": func(s *state, line int, v any, args []any, named map[string]any) any {
			if attr := pass(args, named, 1, "attribute", nil); attr != nil {
				v = mapped(s, line, v, attr, nil)
			}
			return joined(s, line, v, text(pass(args, named, 0, "d", "")))
		},
		"default": fallback, "d": fallback,
		"list":  func(s *state, line int, v any, _ []any, _ map[string]any) any { return NewList(s.items(line, v)...) },
		"first": func(s *state, line int, v any, _ []any, _ map[string]any) any { return end(s, line, v, false) },
		"last":  func(s *state, line int, v any, _ []any, _ map[string]any) any { return end(s, line, v, true) },
		"items": func(_ *state, line int, v any, _ []any, _ map[string]any) any {
			switch v := v.(type) {
			case *Dict:
				return pairs(v)
			case undefined:
				return NewList()
			}
			raise(line, "items wants a dictionary, has %s", kind(v))
			return nil
		},
		"dictsort": func(_ *state, line int, v any, _ []any, _ map[string]any) any {
			d, ok := v.(*Dict)
			if !ok {
				raise(line, "dictsort wants a dictionary, has %s", kind(v))
			}
			l := pairs(d)
			slices.SortStableFunc(l.items, func(a, b any) int {
				return strings.Compare(strings.ToLower(text(a.(*List).items[0])), strings.ToLower(text(b.(*List).items[0])))
			})
			return l
		},
		"reverse": func(s *state, line int, v any, _ []any, _ map[string]any) any {
			items := slices.Clone(s.items(line, v))
			slices.Reverse(items)
			if _, ok := v.(string); ok {
				return joined(s, line, NewList(items...), "")
			}
			return NewList(items...)
		},
		"sort": sorted, "unique": unique, "map": mapFilter,
		"select": chosen(false, true), "reject": chosen(false, false), "selectattr": chosen(true, true), "rejectattr": chosen(true, false),
		"tojson": toJSON, "indent": indent,
		"int": func(_ *state, _ int, v any, args []any, named map[string]any) any {
			if f, ok := number(v); ok {
				return int64(f)
			}
			if i, err := strconv.ParseInt(strings.TrimSpace(text(v)), 10, 64); err == nil {
				return i
			}
			if f, err := strconv.ParseFloat(strings.TrimSpace(text(v)), 64); err == nil {
				return int64(f)
			}
			return pass(args, named, 0, "default", int64(0))
		},
		"float": func(_ *state, _ int, v any, args []any, named map[string]any) any {
			if f, ok := number(v); ok {
				return f
			}
			if f, err := strconv.ParseFloat(strings.TrimSpace(text(v)), 64); err == nil {
				return f
			}
			return pass(args, named, 0, "default", 0.0)
		},
		"abs": func(_ *state, line int, v any, _ []any, _ map[string]any) any {
			if i, ok := whole(v); ok {
				return max(i, -i)
			}
			f, ok := number(v)
			if !ok {
				raise(line, "abs of %s", kind(v))
			}
			return max(f, -f)
		},
		"round": func(_ *state, line int, v any, args []any, named map[string]any) any {
			f, ok := number(v)
			digits, _ := whole(pass(args, named, 0, "precision", int64(0)))
			if !ok {
				raise(line, "round of %s", kind(v))
			}
			return round(f, digits, text(pass(args, named, 1, "method", "common")))
		},
		"sum": func(s *state, line int, v any, args []any, named map[string]any) any {
			if attr := pass(args, named, 0, "attribute", nil); attr != nil {
				v = mapped(s, line, v, attr, nil)
			}
			var sum any = pass(args, named, 1, "start", int64(0))
			for _, x := range s.items(line, v) {
				sum = s.arithmetic(line, "+", sum, x)
			}
			return sum
		},
	}
	for name, sign := range map[string]int{"min": -1, "max": 1} {
		t[name] = func(s *state, line int, v any, _ []any, _ map[string]any) any {
			var best any = undefined{name + " of nothing"}
			for i, x := range s.items(line, v) {
				if i == 0 || order(line, x, best)*sign > 0 {
					best = x
				}
			}
			return best
		}
	}
	return t
}

func length(s *state, line int, v any, _ []any, _ map[string]any) any {
	if t, ok := v.(string); ok {
		return int64(utf8.RuneCountInString(t))
	}
	return int64(len(s.items(line, v)))
}

func fallback(_ *state, _ int, v any, args []any, named map[string]any) any {
	_, missing := v.(undefined)
	if missing || truth(pass(args, named, 1, "boolean", false)) && !truth(v) {
		return pass(args, named, 0, "default_value", "")
	}
	return v
}

func end(s *state, line int, v any, last bool) any {
	items := s.items(line, v)
	switch {
	case len(items) == 0:
		return undefined{"an item of nothing"}
	case last:
		return items[len(items)-1]
	}
	return items[0]
}

// toJSON is json.dumps as transformers has it: nothing is escaped for HTML.
func toJSON(s *state, line int, v any, args []any, named map[string]any) any {
	ascii := truth(pass(args, named, 0, "ensure_ascii", false))
	in := ""
	switch x := pass(args, named, 1, "indent", nil).(type) {
	case int64:
		in = strings.Repeat(" ", int(min(max(x, 0), 64)))
	case string:
		in = x
	}
	item, colon := ", ", ": "
	if l, ok := pass(args, named, 2, "separators", nil).(*List); ok && len(l.items) == 2 {
		item, colon = text(l.items[0]), text(l.items[1])
	}
	var b strings.Builder
	if err := dump(&b, v, in, item, colon, "", ascii, truth(pass(args, named, 3, "sort_keys", false))); err != nil {
		raise(line, "tojson: %v", err)
	}
	return s.sized(line, b.String())
}

func indent(s *state, line int, v any, args []any, named map[string]any) any {
	by := ""
	switch w := pass(args, named, 0, "width", int64(4)).(type) {
	case int64:
		by = strings.Repeat(" ", int(min(max(w, 0), 1000)))
	case string:
		by = w
	}
	first, blank := truth(pass(args, named, 1, "first", false)), truth(pass(args, named, 2, "blank", false))
	lines := strings.Split(text(v), "\n")
	for i, l := range lines {
		if (i > 0 || first) && (blank || l != "") {
			lines[i] = by + l
		}
	}
	return s.sized(line, strings.Join(lines, "\n"))
}
