package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
)

// noValue says that a value is not known.
const noValue = "has no value"

// noValuePrefix begins the message of a value that two defaults leave open.
const noValuePrefix = "has no value: "

// incomplete: a value is not known.
func (d *diagnosis) incomplete(f *finding, group []raised) bool {
	first := slices.IndexFunc(group, func(r raised) bool { return !isSummary(r) })
	if first < 0 {
		first = 0
	}
	r := group[first]
	isIncomplete := strings.HasPrefix(r.format, "incomplete value")
	if !isIncompleteText(r) {
		return false
	}
	f.Msg = noValue
	path := group[0].path
	written := d.places.fieldOf(path, f.at)
	if written != nil && !d.blanked[written.Pos().Offset()] && d.twoDefaults(f, written.Value) {
		return true
	}
	blanked := written != nil && d.blanked[written.Pos().Offset()]
	f.consequence = !isIncomplete || blanked || written != nil && plainly(written.Value)
	if n := len(path); n > 2 && path[n-1] == "value" && path[n-3] == "inputs" {
		f.Hint = fmt.Sprintf("give --set %s=...", path[n-2])
		f.Pos.Path = strings.TrimSuffix(f.Pos.Path, ".value")
		return true
	}
	f.consequence = f.consequence || written != nil && refers(written.Value) || written == nil && d.computed(r)
	if isIncomplete && len(r.args) > 0 {
		if want := (wanted{types: r.args[:1]}).String(); want != "" {
			f.Hint = "want " + want
		}
	}
	return true
}

// plainly reports whether an expression is a value as it stands: if it has none, a
// mistake elsewhere is why.
func plainly(e ast.Expr) bool {
	switch e.(type) {
	case *ast.BasicLit, *ast.ListLit:
		return !refers(e)
	}
	return false
}

// twoDefaults: what an expression refers to has a default that differs from
// the one that the schema has for the value.
func (d *diagnosis) twoDefaults(f *finding, e ast.Expr) bool {
	target := d.places.target(e)
	if target == nil {
		return false
	}
	literal := defaultOf(target.Value)
	if literal == nil {
		return false
	}
	f.Msg = noValuePrefix + fmt.Sprintf("%s has the default %s, and here there is another", exprText(e), exprText(literal))
	f.Hint = fmt.Sprintf("write %s: %s without *", fieldName(target), exprText(literal))
	return true
}

// computed reports whether the definition of a value computes it from others.
func (d *diagnosis) computed(r raised) bool {
	for _, p := range append(slices.Clone(r.pos), conjuncts(d.value.LookupPath(cuePath(r.raw)))...) {
		if f := d.places.field(labelOf(r.path), p); f != nil && d.isSchema(p.Filename()) && refers(f.Value) {
			return true
		}
	}
	return false
}

// refers reports whether an expression refers to anything in the document.
func refers(e ast.Expr) bool {
	found := false
	ast.Walk(e, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.StructLit:
			return false
		case *ast.Ident:
			_, pkg := x.Node.(*ast.ImportSpec)
			if !x.IsPredeclared() && !pkg && !strings.HasPrefix(x.Name, "#") {
				found = true
			}
		}
		return !found
	}, nil)
	return found
}
