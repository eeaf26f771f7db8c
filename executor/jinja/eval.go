package jinja

import (
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
	switch v := plain(v).(type) {
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
