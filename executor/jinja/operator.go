package jinja

import (
	"math"
	"strings"
)

// contains is "v in in".
func (s *state) contains(line int, in, v any) bool {
	switch in := in.(type) {
	case string:
		t, ok := v.(string)
		if !ok {
			raise(line, "%s in a string", kind(v))
		}
		return strings.Contains(in, t)
	case *Dict:
		t, ok := v.(string)
		_, has := in.values[t]
		return ok && has
	}
	for _, x := range s.items(line, in) {
		if equal(x, v) {
			return true
		}
	}
	return false
}

func less(line int, op string, a, b any) bool {
	x, ok := number(a)
	y, ok2 := number(b)
	order := 0
	switch {
	case ok && ok2:
		order = map[bool]int{true: -1}[x < y]
		if x > y {
			order = 1
		}
	default:
		s, ok := a.(string)
		t, ok2 := b.(string)
		if !ok || !ok2 {
			raise(line, "%s %s %s has no meaning", kind(a), op, kind(b))
		}
		order = strings.Compare(s, t)
	}
	switch op {
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	}
	return order >= 0
}

// added is a + b; where one is markup, the other is escaped.
func (s *state) added(line int, a, b any) any {
	_, ok := a.(markup)
	_, ok2 := b.(markup)
	_, text := plain(a).(string)
	_, text2 := plain(b).(string)
	if (ok || ok2) && text && text2 {
		return markup(s.sized(line, string(escaped(a)+escaped(b))))
	}
	return s.arithmetic(line, "+", plain(a), plain(b))
}

func (s *state) arithmetic(line int, op string, a, b any) any {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok && op == "+" {
			return s.sized(line, x+y)
		}
		if n, ok := b.(int64); ok && op == "*" {
			if n > 0 && int64(len(x)) > maxOutput/n {
				raise(line, "a text of more than %d bytes", maxOutput)
			}
			return s.sized(line, strings.Repeat(x, int(max(n, 0))))
		}
	case *List:
		if y, ok := b.(*List); ok && op == "+" {
			s.steps += len(x.items) + len(y.items)
			s.step(line)
			return &List{append(append([]any{}, x.items...), y.items...), x.tuple}
		}
	}
	x, okx := number(a)
	y, oky := number(b)
	if !okx || !oky {
		for _, v := range []any{a, b} {
			if u, ok := v.(undefined); ok {
				raise(line, "%s is undefined", u.name)
			}
		}
		raise(line, "%s %s %s has no meaning", kind(a), op, kind(b))
	}
	i, inti := whole(a)
	j, intj := whole(b)
	ints := inti && intj
	if y == 0 && (op == "/" || op == "//" || op == "%") {
		raise(line, "division by zero")
	}
	switch {
	case op == "+" && ints:
		return i + j
	case op == "-" && ints:
		return i - j
	case op == "*" && ints:
		return i * j
	case op == "//" && ints:
		return int64(math.Floor(x / y))
	case op == "%" && ints:
		return ((i % j) + j) % j
	case op == "**" && ints && j >= 0 && math.Abs(math.Pow(x, y)) < 1<<53:
		return int64(math.Pow(x, y))
	case op == "+":
		return x + y
	case op == "-":
		return x - y
	case op == "*":
		return x * y
	case op == "/":
		return x / y
	case op == "//":
		return math.Floor(x / y)
	case op == "%":
		return x - y*math.Floor(x/y)
	}
	return math.Pow(x, y)
}

// whole is a value as a whole number, if it is one.
func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
