package jinja

import (
	"slices"
	"strings"
)

// test is what stands after "is".
type test func(s *state, line int, v any, args []any) bool

func tests() map[string]test {
	is := func(f func(v any) bool) test {
		return func(_ *state, _ int, v any, _ []any) bool { return f(v) }
	}
	compare := func(op string) test {
		return func(s *state, line int, v any, args []any) bool {
			if len(args) != 1 {
				raise(line, "a test wants one value")
			}
			switch op {
			case "==":
				return equal(v, args[0])
			case "!=":
				return !equal(v, args[0])
			case "in":
				return s.contains(line, args[0], v)
			}
			return less(line, op, v, args[0])
		}
	}
	odd := func(rest int64) test {
		return func(_ *state, line int, v any, _ []any) bool {
			i, ok := whole(v)
			if !ok {
				raise(line, "%s is neither odd nor even", kind(v))
			}
			return (i%2+2)%2 == rest
		}
	}
	return map[string]test{
		"defined":   is(func(v any) bool { _, ok := v.(undefined); return !ok }),
		"undefined": is(func(v any) bool { _, ok := v.(undefined); return ok }),
		"none":      is(func(v any) bool { return v == nil }),
		"string":    is(func(v any) bool { _, ok := v.(string); return ok }),
		"number":    is(func(v any) bool { _, ok := number(v); return ok }),
		"integer":   is(func(v any) bool { _, ok := v.(int64); return ok }),
		"float":     is(func(v any) bool { _, ok := v.(float64); return ok }),
		"boolean":   is(func(v any) bool { _, ok := v.(bool); return ok }),
		"true":      is(func(v any) bool { return v == true }),
		"false":     is(func(v any) bool { return v == false }),
		"mapping":   is(func(v any) bool { d, ok := v.(*Dict); return ok && !d.mutable }),
		"callable":  is(func(v any) bool { _, ok := v.(function); return ok }),
		"iterable": is(func(v any) bool {
			switch v.(type) {
			case string, *List, *Dict, undefined:
				return true
			}
			return false
		}),
		"sequence": is(func(v any) bool {
			switch v.(type) {
			case string, *List, *Dict, undefined:
				return true
			}
			return false
		}),
		"lower": is(func(v any) bool { return text(v) == strings.ToLower(text(v)) }),
		"upper": is(func(v any) bool { return text(v) == strings.ToUpper(text(v)) }),
		"odd":   odd(1), "even": odd(0),
		"divisibleby": func(_ *state, line int, v any, args []any) bool {
			i, ok := whole(v)
			j, ok2 := whole(slices.Concat(args, []any{nil})[0])
			if !ok || !ok2 || j == 0 {
				raise(line, "divisibleby wants whole numbers")
			}
			return i%j == 0
		},
		"equalto": compare("=="), "eq": compare("=="), "==": compare("=="), "sameas": compare("=="), "ne": compare("!="),
		"in": compare("in"), "lt": compare("<"), "gt": compare(">"), "le": compare("<="), "ge": compare(">="),
		"lessthan": compare("<"), "greaterthan": compare(">"),
	}
}
