package jinja

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
