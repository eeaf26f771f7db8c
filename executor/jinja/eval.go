package jinja

import (
	"math"
	"strings"
	"time"
)

// scope holds names; what it lacks is in the scope around it.
type scope struct {
	vars  map[string]any
	outer *scope
}

func (c *scope) find(name string) (any, bool) {
	for ; c != nil; c = c.outer {
		if v, ok := c.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// state is one rendering.
type state struct {
	now     time.Time
	filters map[string]filter
	tests   map[string]test
	out     *strings.Builder
	made    []Span
	inner   int // outputs that are caught, within which spans mean nothing
	steps   int
	depth   int
	bytes   int
}

// signal is how a list of statements ended.
type signal int

const (
	through signal = iota
	leave
	again
)

func (s *state) step(line int) {
	if s.steps++; s.steps > maxSteps {
		raise(line, "the template takes more than %d steps", maxSteps)
	}
}

func (s *state) write(line int, text string) {
	if s.bytes += len(text); s.bytes > maxOutput {
		raise(line, "the template writes more than %d bytes", maxOutput)
	}
	s.out.WriteString(text)
}

// caught is what run writes.
func (s *state) caught(run func()) string {
	var b strings.Builder
	out := s.out
	s.out = &b
	s.inner++
	run()
	s.inner--
	s.out = out
	return b.String()
}

func (s *state) run(list []stmt, c *scope) signal {
	for _, x := range list {
		s.step(0)
		switch x := x.(type) {
		case textStmt:
			s.write(0, x.s)
		case outStmt:
			s.write(x.line, text(s.eval(x.e, c)))
		case ifStmt:
			branch := x.more
			if truth(s.eval(x.cond, c)) {
				branch = x.then
			}
			if how := s.run(branch, c); how != through {
				return how
			}
		case forStmt:
			if how := s.loop(x, c); how != through {
				return how
			}
		case setStmt:
			s.set(x, c)
		case macroStmt:
			c.vars[x.name] = s.macro(x, c)
		case filterStmt:
			out := s.caught(func() { s.run(x.body, &scope{map[string]any{}, c}) })
			s.write(x.line, text(s.fill(x.pipe, out, c)))
		case madeStmt:
			from := s.out.Len()
			how := s.run(x.body, c)
			if s.inner == 0 {
				s.made = append(s.made, Span{from, s.out.Len()})
			}
			if how != through {
				return how
			}
		case stopStmt:
			if x.again {
				return again
			}
			return leave
		}
	}
	return through
}

// fill evaluates the filters of a block over what it wrote.
func (s *state) fill(pipe expr, out string, c *scope) any {
	switch e := pipe.(type) {
	case *hole:
		return out
	case filterExpr:
		e.of = literal{s.fill(e.of, out, c)}
		return s.eval(e, c)
	}
	return s.eval(pipe, c)
}

func (s *state) loop(x forStmt, c *scope) signal {
	items := s.items(x.line, s.eval(x.in, c))
	if x.filter != nil {
		var kept []any
		for _, v := range items {
			one := &scope{map[string]any{}, c}
			s.unpack(x.line, x.names, v, one)
			if truth(s.eval(x.filter, one)) {
				kept = append(kept, v)
			}
		}
		items = kept
	}
	if len(items) == 0 {
		return s.run(x.none, c)
	}
	for i, v := range items {
		s.steps += 10 // what a turn costs
		s.step(x.line)
		one := &scope{map[string]any{}, c}
		s.unpack(x.line, x.names, v, one)
		one.vars["loop"] = loopOf(items, i)
		if s.run(x.body, one) == leave {
			break
		}
	}
	return through
}

// loopOf is the variable loop at item i.
func loopOf(items []any, i int) *Dict {
	d, n := NewDict(), len(items)
	d.Set("index", int64(i+1))
	d.Set("index0", int64(i))
	d.Set("revindex", int64(n-i))
	d.Set("revindex0", int64(n-i-1))
	d.Set("first", i == 0)
	d.Set("last", i == n-1)
	d.Set("length", int64(n))
	d.Set("depth", int64(1))
	d.Set("depth0", int64(0))
	if i > 0 {
		d.Set("previtem", items[i-1])
	}
	if i+1 < n {
		d.Set("nextitem", items[i+1])
	}
	d.Set("cycle", function(func(_ *state, line int, args []any, _ map[string]any) any {
		if len(args) == 0 {
			raise(line, "cycle wants values")
		}
		return args[i%len(args)]
	}))
	return d
}

func (s *state) unpack(line int, names []string, v any, c *scope) {
	if len(names) == 1 {
		c.vars[names[0]] = v
		return
	}
	items := s.items(line, v)
	if len(items) != len(names) {
		raise(line, "%d values for %d names", len(items), len(names))
	}
	for i, name := range names {
		c.vars[name] = items[i]
	}
}

func (s *state) set(x setStmt, c *scope) {
	var v any
	if x.e != nil {
		v = s.eval(x.e, c)
	} else {
		v = s.caught(func() { s.run(x.body, &scope{map[string]any{}, c}) })
	}
	name, attr, ok := strings.Cut(x.names[0], ".")
	if !ok {
		s.unpack(x.line, x.names, v, c)
		return
	}
	to, _ := c.find(name)
	ns, ok := to.(*Dict)
	if !ok || !ns.mutable {
		raise(x.line, "%s is no namespace", name)
	}
	ns.Set(attr, v)
}

func (s *state) macro(x macroStmt, c *scope) function {
	return func(s *state, line int, args []any, named map[string]any) any {
		one := &scope{map[string]any{}, c}
		if len(args) > len(x.params) {
			raise(line, "%s takes %d values, has %d", x.name, len(x.params), len(args))
		}
		for name := range named {
			found := false
			for _, p := range x.params {
				found = found || p == name
			}
			if !found {
				raise(line, "%s has no parameter %q", x.name, name)
			}
		}
		for i, name := range x.params {
			v, ok := named[name]
			switch {
			case i < len(args):
				v = args[i]
			case ok:
			case x.defs[i] != nil:
				v = s.eval(x.defs[i], one)
			default:
				v = undefined{name}
			}
			one.vars[name] = v
		}
		return s.caught(func() { s.run(x.body, one) })
	}
}

// items are those of what can be gone through.
func (s *state) items(line int, v any) []any {
	switch v := v.(type) {
	case *List:
		return v.items
	case *Dict:
		var out []any
		for _, k := range v.keys {
			out = append(out, k)
		}
		return out
	case string:
		var out []any
		for _, r := range v {
			out = append(out, string(r))
		}
		return out
	case undefined:
		return nil
	}
	raise(line, "%s cannot be gone through", kind(v))
	return nil
}

func (s *state) all(list []expr, c *scope) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = s.eval(e, c)
	}
	return out
}

func (s *state) named(m map[string]expr, c *scope) map[string]any {
	if len(m) == 0 {
		return nil
	}
	out := map[string]any{}
	for name, e := range m {
		out[name] = s.eval(e, c)
	}
	return out
}

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
		return s.get(e.line, s.eval(e.of, c), s.eval(e.key, c), e.attr)
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
		return s.filters[e.name](s, e.line, s.eval(e.of, c), s.all(e.args, c), s.named(e.kw, c))
	case testExpr:
		return s.tests[e.name](s, e.line, s.eval(e.of, c), s.all(e.args, c)) != e.not
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
	of := s.eval(e.of, c)
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
