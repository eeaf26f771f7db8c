package jinja

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// order compares values as sorting does.
func order(line int, a, b any) int {
	x, ok := number(a)
	y, ok2 := number(b)
	if ok && ok2 {
		return cmp.Compare(x, y)
	}
	s, ok := a.(string)
	t, ok2 := b.(string)
	if !ok || !ok2 {
		raise(line, "%s and %s have no order", kind(a), kind(b))
	}
	return strings.Compare(s, t)
}

func sorted(s *state, line int, v any, args []any, named map[string]any) any {
	items := slices.Clone(s.items(line, v))
	attr := pass(args, named, 2, "attribute", nil)
	matter := truth(pass(args, named, 1, "case_sensitive", false))
	key := func(x any) any {
		if attr != nil {
			x = s.path(line, x, attr)
		}
		if t, ok := x.(string); ok && !matter {
			return strings.ToLower(t)
		}
		return x
	}
	slices.SortStableFunc(items, func(a, b any) int { return order(line, key(a), key(b)) })
	if truth(pass(args, named, 0, "reverse", false)) {
		slices.Reverse(items)
	}
	return NewList(items...)
}

func unique(s *state, line int, v any, _ []any, _ map[string]any) any {
	l := NewList()
	for _, x := range s.items(line, v) {
		if !slices.ContainsFunc(l.items, func(y any) bool { return equal(x, y) }) {
			l.items = append(l.items, x)
		}
		s.steps += len(l.items)
		s.step(line)
	}
	return l
}

// path is v.a.b for "a.b".
func (s *state) path(line int, v, path any) any {
	if i, ok := whole(path); ok {
		return s.get(line, v, i, false)
	}
	for _, part := range strings.Split(text(path), ".") {
		if i, err := strconv.ParseInt(part, 10, 64); err == nil {
			v = s.get(line, v, i, false)
		} else {
			v = s.get(line, v, part, false)
		}
	}
	return v
}

func mapped(s *state, line int, v, attr, none any) *List {
	l := NewList()
	if !truth(v) {
		return l
	}
	for _, x := range s.items(line, v) {
		y := s.path(line, x, attr)
		if _, ok := y.(undefined); ok && none != nil {
			y = none
		}
		l.items = append(l.items, y)
	}
	return l
}

func mapFilter(s *state, line int, v any, args []any, named map[string]any) any {
	if attr, ok := named["attribute"]; ok {
		return mapped(s, line, v, attr, named["default"])
	}
	if len(args) == 0 {
		raise(line, "map wants a filter or an attribute")
	}
	f, ok := s.filters[text(args[0])]
	if !ok {
		raise(line, "no filter %q", text(args[0]))
	}
	l := NewList()
	if !truth(v) { // as none, which is gone through here, but nowhere else
		return l
	}
	for _, x := range s.items(line, v) {
		l.items = append(l.items, f(s, line, x, args[1:], named))
	}
	return l
}

// chosen is select, reject, selectattr and rejectattr.
func chosen(byAttr, keep bool) filter {
	return func(s *state, line int, v any, args []any, _ map[string]any) any {
		var attr any
		if byAttr {
			if len(args) == 0 {
				raise(line, "want the name of an attribute")
			}
			attr, args = args[0], args[1:]
		}
		test := func(x any, _ []any) bool { return truth(x) }
		if len(args) > 0 {
			f, ok := s.tests[text(args[0])]
			if !ok {
				raise(line, "no test %q", text(args[0]))
			}
			test = func(x any, more []any) bool { return f(s, line, x, more) }
			args = args[1:]
		}
		l := NewList()
		if !truth(v) {
			return l
		}
		for _, x := range s.items(line, v) {
			s.step(line)
			y := x
			if byAttr {
				y = s.path(line, x, attr)
			}
			if test(y, args) == keep {
				l.items = append(l.items, x)
			}
		}
		return l
	}
}
