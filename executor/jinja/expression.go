package jinja

import (
	"math"
)

// eval computes an expression, with the names of c.
func (s *state) eval(e expr, c *scope) any {
	s.step(0)
	if s.depth++; s.depth > 5*maxDepth {
		raise(0, "the template calls itself too deeply")
	}
	defer func() { s.depth-- }()
	switch e := e.(type) {
	case literal:
		return e.v
	case nameExpr:
		if v, ok := c.find(e.name); ok {
			return v
		}
		return undefined{e.name}
	case listExpr:
		return &List{s.all(e.items, c), e.tuple}
	case dictExpr:
		d := NewDict()
		for i, k := range e.keys {
			d.Set(text(s.eval(k, c)), s.eval(e.values[i], c))
		}
		return d
	case getExpr:
		return s.get(e.line, plain(s.eval(e.of, c)), plain(s.eval(e.key, c)), e.attr)
	case sliceExpr:
		return s.slice(e, c)
	case callExpr:
		of := s.eval(e.of, c)
		f, ok := of.(function)
		if !ok {
			if u, ok := of.(undefined); ok {
				raise(e.line, "%s is undefined", u.name)
			}
			raise(e.line, "%s cannot be called", kind(of))
		}
		return f(s, e.line, s.all(e.args, c), s.named(e.named, c))
	case filterExpr:
		of := s.eval(e.of, c)
		if e.name != "escape" && e.name != "e" { // which leave markup as it is
			of = plain(of)
		}
		return s.filters[e.name](s, e.line, of, s.all(e.args, c), s.named(e.kw, c))
	case testExpr:
		return s.tests[e.name](s, e.line, plain(s.eval(e.of, c)), s.all(e.args, c)) != e.not
	case condExpr:
		if truth(s.eval(e.cond, c)) {
			return s.eval(e.a, c)
		}
		return s.eval(e.b, c)
	case unaryExpr:
		return s.unary(e, c)
	case binaryExpr:
		return s.binary(e, c)
	}
	return nil
}

func (s *state) unary(e unaryExpr, c *scope) any {
	v := s.eval(e.e, c)
	if e.op == "not" {
		return !truth(v)
	}
	sign := int64(1)
	if e.op == "-" {
		sign = -1
	}
	switch v := v.(type) {
	case int64:
		return sign * v
	case float64:
		return float64(sign) * v
	}
	raise(e.line, "%s has no sign", kind(v))
	return nil
}

func (s *state) binary(e binaryExpr, c *scope) any {
	a := s.eval(e.a, c)
	switch e.op {
	case "or":
		if truth(a) {
			return a
		}
		return s.eval(e.b, c)
	case "and":
		if !truth(a) {
			return a
		}
		return s.eval(e.b, c)
	}
	b := s.eval(e.b, c)
	if e.op == "+" {
		return s.added(e.line, a, b)
	}
	a, b = plain(a), plain(b)
	switch e.op {
	case "==":
		return equal(a, b)
	case "!=":
		return !equal(a, b)
	case "in":
		return s.contains(e.line, b, a)
	case "not in":
		return !s.contains(e.line, b, a)
	case "~":
		return s.sized(e.line, text(a)+text(b))
	case "<", ">", "<=", ">=":
		return less(e.line, e.op, a, b)
	}
	return s.arithmetic(e.line, e.op, a, b)
}

func (s *state) sized(line int, text string) string {
	if len(text) > maxOutput {
		raise(line, "a text of more than %d bytes", maxOutput)
	}
	if s.steps += len(text) / 4096; s.steps > maxSteps {
		raise(line, "the template takes more than %d steps", maxSteps)
	}
	return text
}

// get is of[key], or of.key.
func (s *state) get(line int, of, key any, attr bool) any {
	name, isName := key.(string)
	if attr {
		if f := method(of, name); f != nil {
			return f
		}
	}
	switch of := of.(type) {
	case undefined:
		raise(line, "%s is undefined", of.name)
	case *Dict:
		if v, ok := of.values[text(key)]; ok && isName {
			return v
		}
	case *List:
		if i, ok := whole(key); ok {
			if i < 0 {
				i += int64(len(of.items))
			}
			if i >= 0 && i < int64(len(of.items)) {
				return of.items[i]
			}
		}
	case string:
		if i, ok := whole(key); ok {
			r := []rune(of)
			if i < 0 {
				i += int64(len(r))
			}
			if i >= 0 && i < int64(len(r)) {
				return string(r[i])
			}
		}
	}
	if isName {
		if f := method(of, name); f != nil {
			return f
		}
	}
	return undefined{kind(of) + " with " + repr(key)}
}

func (s *state) slice(e sliceExpr, c *scope) any {
	of := plain(s.eval(e.of, c))
	var items []any
	var runes []rune
	n := 0
	switch v := of.(type) {
	case *List:
		items, n = v.items, len(v.items)
	case string:
		runes = []rune(v)
		n = len(runes)
	default:
		raise(e.line, "%s cannot be cut", kind(of))
	}
	bound := func(x expr, none int64) int64 {
		if x == nil {
			return none
		}
		v := s.eval(x, c)
		if v == nil {
			return none
		}
		i, ok := whole(v)
		if !ok {
			raise(e.line, "%s is no index", kind(v))
		}
		return i
	}
	step := bound(e.step, 1)
	if step == 0 {
		raise(e.line, "a step of 0")
	}
	size := int64(n)
	clip := func(i, low, high int64) int64 {
		if i < 0 {
			i += size
		}
		return min(max(i, low), high)
	}
	from, to := int64(0), size
	if step < 0 {
		from, to = size-1, -1
	}
	if e.from != nil {
		from = bound(e.from, from)
		from = clip(from, map[bool]int64{true: -1}[step < 0], map[bool]int64{true: size - 1, false: size}[step < 0])
	}
	if e.to != nil {
		if v := bound(e.to, math.MaxInt64); v != math.MaxInt64 {
			to = clip(v, map[bool]int64{true: -1}[step < 0], map[bool]int64{true: size - 1, false: size}[step < 0])
		}
	}
	var out []any
	var cut []rune
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if runes != nil {
			cut = append(cut, runes[i])
		} else if items != nil {
			out = append(out, items[i])
		}
	}
	if _, ok := of.(string); ok {
		return string(cut)
	}
	return &List{items: out}
}
