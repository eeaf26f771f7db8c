package jinja

import (
	"slices"
)

type parser struct {
	toks  []token
	at    int
	depth int
	loops int
	known map[string]filter
	tests map[string]test
}

func (p *parser) tok() token { return p.toks[p.at] }
func (p *parser) fail(format string, args ...any) {
	raise(p.tok().line, format, args...)
}

func (p *parser) is(kind string) bool { return p.tok().kind == kind }

func (p *parser) word(names ...string) bool {
	return p.is("name") && slices.Contains(names, p.tok().text)
}

func (p *parser) skip(kind string) bool {
	if p.is(kind) {
		p.at++
		return true
	}
	return false
}

func (p *parser) skipWord(name string) bool {
	if p.word(name) {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(kind string) token {
	t := p.tok()
	if t.kind != kind {
		have := t.text
		if have == "" {
			have = t.kind
		}
		p.fail("want %s, have %q", kind, have)
	}
	p.at++
	return t
}

// block takes statements up to a tag that ends one, whose name it gives; the
// tag's other tokens are left.
func (p *parser) block(ends ...string) (list []stmt, end string) {
	if p.depth++; p.depth > maxDepth {
		p.fail("more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	for {
		switch t := p.tok(); t.kind {
		case "":
			if len(ends) > 0 {
				p.fail("want %s before the end", ends[len(ends)-1])
			}
			return list, ""
		case "text":
			p.at++
			list = append(list, textStmt{t.text})
		case "{{":
			p.at++
			list = append(list, outStmt{t.line, p.tupleOr(p.expr)})
			p.want("}}")
		case "{%":
			p.at++
			name := p.want("name").text
			if slices.Contains(ends, name) {
				return list, name
			}
			list = append(list, p.statement(name, t.line))
		default:
			p.fail("unexpected %q", t.kind)
		}
	}
}

// body takes statements up to the tag "end" + name.
func (p *parser) body(name string) []stmt {
	p.want("%}")
	list, _ := p.block("end" + name)
	p.want("%}")
	return list
}

func (p *parser) statement(name string, line int) stmt {
	switch name {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement(line)
	case "set":
		return p.setStatement(line)
	case "macro":
		return p.macroStatement(line)
	case "generation":
		return madeStmt{p.body(name)}
	case "filter":
		var v any
		h := &hole{&v}
		pipe := p.filters(h, true)
		return filterStmt{line, pipe, p.body(name)}
	case "break", "continue":
		if p.loops == 0 {
			raise(line, "%s outside of a loop", name)
		}
		p.want("%}")
		return stopStmt{name == "continue"}
	case "include", "import", "from", "extends", "block":
		raise(line, "%s is not allowed: a chat template reads no other file", name)
	}
	raise(line, "unknown tag %q", name)
	return nil
}

func (p *parser) ifStatement() stmt {
	s := ifStmt{cond: p.tupleOr(p.expr)}
	p.want("%}")
	var end string
	s.then, end = p.block("elif", "else", "endif")
	switch end {
	case "elif":
		s.more = []stmt{p.ifStatement()}
		return s
	case "else":
		p.want("%}")
		s.more, _ = p.block("endif")
	}
	p.want("%}")
	return s
}

func (p *parser) forStatement(line int) stmt {
	s := forStmt{line: line, names: p.names()}
	if !p.skipWord("in") {
		p.fail("want in")
	}
	s.in = p.tupleOr(p.or) // a condition would take the "if" of a filter
	if p.skipWord("if") {
		s.filter = p.expr()
	}
	if p.word("recursive") {
		p.fail("recursive loops are not supported")
	}
	p.want("%}")
	p.loops++
	var end string
	s.body, end = p.block("else", "endfor")
	p.loops--
	if end == "else" {
		p.want("%}")
		s.none, _ = p.block("endfor")
	}
	p.want("%}")
	return s
}

// names takes "a" or "a, b", in parentheses or not.
func (p *parser) names() []string {
	paren := p.skip("(")
	list := []string{p.want("name").text}
	for p.skip(",") {
		list = append(list, p.want("name").text)
	}
	if paren {
		p.want(")")
	}
	return list
}

func (p *parser) setStatement(line int) stmt {
	s := setStmt{line: line, names: []string{p.want("name").text}}
	if p.skip(".") {
		s.names[0] += "." + p.want("name").text
	}
	for p.skip(",") {
		s.names = append(s.names, p.want("name").text)
	}
	if p.skip("=") {
		s.e = p.tupleOr(p.expr)
		p.want("%}")
		return s
	}
	if len(s.names) > 1 {
		p.fail("want =")
	}
	var v any
	h := &hole{&v}
	pipe := p.filters(h, false)
	s.body = p.body("set")
	if pipe != expr(h) {
		s.body = []stmt{filterStmt{line, pipe, s.body}}
	}
	return s
}

func (p *parser) macroStatement(line int) stmt {
	s := macroStmt{line: line, name: p.want("name").text}
	p.want("(")
	for !p.is(")") {
		s.params = append(s.params, p.want("name").text)
		var def expr
		if p.skip("=") {
			def = p.expr()
		}
		s.defs = append(s.defs, def)
		if !p.skip(",") {
			break
		}
	}
	p.want(")")
	s.body = p.body("macro")
	return s
}
