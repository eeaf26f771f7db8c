package jinja

import (
	"slices"
	"strconv"
)

// The statements and expressions of templates.
type (
	stmt interface{}
	expr interface{}

	textStmt struct{ s string }
	outStmt  struct {
		line int
		e    expr
	}
	ifStmt struct {
		cond       expr
		then, more []stmt
	}
	forStmt struct {
		line       int
		names      []string
		in, filter expr
		body, none []stmt
	}
	setStmt struct {
		line  int
		names []string // "a", or "ns.a"
		e     expr
		body  []stmt // of a block, where e is nil
	}
	macroStmt struct {
		line   int
		name   string
		params []string
		defs   []expr // nil where there is none
		body   []stmt
	}
	filterStmt struct {
		line int
		pipe expr // of a hole
		body []stmt
	}
	madeStmt struct{ body []stmt }
	stopStmt struct{ again bool }

	literal  struct{ v any }
	hole     struct{ v *any } // what a filter block fills
	nameExpr struct {
		line int
		name string
	}
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct {
		line         int
		keys, values []expr
	}
	getExpr struct {
		line int
		of   expr
		key  expr
		attr bool
	}
	sliceExpr struct {
		line     int
		of       expr
		from, to expr
		step     expr
	}
	callExpr struct {
		line  int
		of    expr
		args  []expr
		named map[string]expr
	}
	filterExpr struct {
		line int
		of   expr
		name string
		args []expr
		kw   map[string]expr
	}
	testExpr struct {
		line int
		of   expr
		name string
		args []expr
		not  bool
	}
	unaryExpr struct {
		line int
		op   string
		e    expr
	}
	binaryExpr struct {
		line int
		op   string
		a, b expr
	}
	condExpr struct{ cond, a, b expr }
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
