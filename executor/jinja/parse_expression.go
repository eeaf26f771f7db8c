package jinja

import (
	"slices"
	"strconv"
)

// tupleOr takes an expression, or several with commas between them.
func (p *parser) tupleOr(one func() expr) expr {
	e := one()
	if !p.is(",") {
		return e
	}
	t := listExpr{items: []expr{e}, tuple: true}
	for p.skip(",") {
		if p.is("%}") || p.is("}}") || p.is(")") || p.is("=") {
			break
		}
		t.items = append(t.items, one())
	}
	return t
}

func (p *parser) expr() expr {
	if p.depth++; p.depth > maxDepth {
		p.fail("more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	e := p.or()
	for p.skipWord("if") {
		c := condExpr{cond: p.or(), a: e, b: literal{undefined{"the inline if"}}}
		if p.skipWord("else") {
			c.b = p.expr()
		}
		e = c
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.word("or") {
		line := p.tok().line
		p.at++
		e = binaryExpr{line, "or", e, p.and()}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.word("and") {
		line := p.tok().line
		p.at++
		e = binaryExpr{line, "and", e, p.not()}
	}
	return e
}

func (p *parser) not() expr {
	if line := p.tok().line; p.skipWord("not") {
		return unaryExpr{line, "not", p.not()}
	}
	return p.compare()
}

// compare takes a < b < c, which means a < b and b < c.
func (p *parser) compare() expr {
	left := p.sum()
	var all expr
	for {
		t := p.tok()
		op := t.kind
		switch {
		case slices.Contains([]string{"==", "!=", "<", ">", "<=", ">="}, op):
			p.at++
		case p.word("in"):
			op = "in"
			p.at++
		case p.word("not") && p.toks[p.at+1].text == "in":
			op = "not in"
			p.at += 2
		case all != nil:
			return all
		default:
			return left
		}
		right := p.sum()
		one := binaryExpr{t.line, op, left, right}
		if all == nil {
			all = one
		} else {
			all = binaryExpr{t.line, "and", all, one}
		}
		left = right
	}
}

// level takes operators of one precedence, from the left.
func (p *parser) level(next func() expr, ops ...string) expr {
	e := next()
	for slices.Contains(ops, p.tok().kind) {
		t := p.tok()
		p.at++
		e = binaryExpr{t.line, t.kind, e, next()}
	}
	return e
}

func (p *parser) sum() expr    { return p.level(p.concat, "+", "-") }
func (p *parser) concat() expr { return p.level(p.times, "~") }
func (p *parser) times() expr  { return p.level(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr {
	return p.level(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	if p.depth++; p.depth > maxDepth {
		p.fail("more than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	t := p.tok()
	var e expr
	if t.kind == "-" || t.kind == "+" {
		p.at++
		e = unaryExpr{t.line, t.kind, p.unary(false)}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filters {
		e = p.filters(e, false)
	}
	return e
}

var words = map[string]any{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() expr {
	t := p.tok()
	p.at++
	switch t.kind {
	case "name":
		if v, ok := words[t.text]; ok {
			return literal{v}
		}
		return nameExpr{t.line, t.text}
	case "string":
		s := t.text
		for p.is("string") {
			s += p.tok().text
			p.at++
		}
		return literal{s}
	case "int":
		i, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			raise(t.line, "the number %s is too large", t.text)
		}
		return literal{i}
	case "float":
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			raise(t.line, "%s is no number", t.text)
		}
		return literal{f}
	case "(":
		if p.skip(")") {
			return listExpr{tuple: true}
		}
		e := p.tupleOr(p.expr)
		p.want(")")
		return e
	case "[":
		var l listExpr
		for !p.is("]") {
			l.items = append(l.items, p.expr())
			if !p.skip(",") {
				break
			}
		}
		p.want("]")
		return l
	case "{":
		d := dictExpr{line: t.line}
		for !p.is("}") {
			d.keys = append(d.keys, p.expr())
			p.want(":")
			d.values = append(d.values, p.expr())
			if !p.skip(",") {
				break
			}
		}
		p.want("}")
		return d
	}
	p.at--
	if t.kind == "" || t.kind == "text" {
		p.fail("an expression ends too early")
	}
	p.fail("unexpected %q", t.kind)
	return nil
}

func (p *parser) postfix(e expr) expr {
	for {
		t := p.tok()
		switch t.kind {
		case ".":
			p.at++
			if p.is("int") {
				i, _ := strconv.ParseInt(p.want("int").text, 10, 64)
				e = getExpr{t.line, e, literal{i}, false}
				continue
			}
			e = getExpr{t.line, e, literal{p.want("name").text}, true}
		case "[":
			p.at++
			e = p.subscript(e, t.line)
		case "(":
			p.at++
			c := callExpr{line: t.line, of: e}
			c.args, c.named = p.arguments()
			e = c
		default:
			return e
		}
	}
}

func (p *parser) subscript(of expr, line int) expr {
	var parts [3]expr
	n := 0
	for i := range parts {
		if !p.is(":") && !p.is("]") {
			parts[i] = p.expr()
		}
		if n = i; !p.skip(":") {
			break
		}
	}
	p.want("]")
	if n == 0 {
		if parts[0] == nil {
			raise(line, "an index is missing")
		}
		return getExpr{line, of, parts[0], false}
	}
	return sliceExpr{line, of, parts[0], parts[1], parts[2]}
}

// arguments takes what follows "(", and ")".
func (p *parser) arguments() (args []expr, named map[string]expr) {
	for !p.is(")") {
		if p.is("name") && p.toks[p.at+1].kind == "=" {
			if named == nil {
				named = map[string]expr{}
			}
			name := p.want("name").text
			p.at++
			named[name] = p.expr()
		} else {
			args = append(args, p.expr())
		}
		if !p.skip(",") {
			break
		}
	}
	p.want(")")
	return args, named
}

// filters takes "| f(...)" and "is [not] t(...)" behind an expression; open
// says that the first needs no bar.
func (p *parser) filters(e expr, open bool) expr {
	for {
		t := p.tok()
		switch {
		case open || p.is("|"):
			if !open {
				p.at++
			}
			open = false
			f := filterExpr{line: t.line, of: e, name: p.want("name").text}
			if _, ok := p.known[f.name]; !ok {
				raise(t.line, "no filter %q", f.name)
			}
			if p.skip("(") {
				f.args, f.kw = p.arguments()
			}
			e = f
		case p.word("is"):
			p.at++
			e = p.test(e, t.line)
		case p.is("("): // of what a filter gives
			e = p.postfix(e)
		default:
			return e
		}
	}
}

func (p *parser) test(of expr, line int) expr {
	t := testExpr{line: line, of: of, not: p.skipWord("not")}
	if t.name = p.tok().text; !p.is("name") && !p.is("==") {
		p.fail("want the name of a test")
	}
	p.at++
	if _, ok := p.tests[t.name]; !ok {
		raise(line, "no test %q", t.name)
	}
	switch next := p.tok(); {
	case p.skip("("):
		t.args, _ = p.arguments()
	case next.kind == "string" || next.kind == "int" || next.kind == "float" || next.kind == "[" || next.kind == "{" ||
		next.kind == "name" && !slices.Contains([]string{"else", "or", "and", "if", "is", "not", "in"}, next.text):
		t.args = []expr{p.postfix(p.primary())}
	}
	return t
}
