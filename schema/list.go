package schema

import (
	"fmt"
	"slices"
	"strconv"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// listLength: a list has too few or too many elements.
func (d *diagnosis) listLength(f *finding, group []raised) bool {
	const format = "incompatible list lengths (%d and %d)"
	if slices.ContainsFunc(group, func(r raised) bool { return r.format != format && !isSummary(r) }) {
		return false
	}
	i := slices.IndexFunc(group, func(r raised) bool { return r.format == format })
	if i < 0 {
		return false
	}
	_, e := literalAt(d.source.file, group[0].path)
	if l := d.places.innermost(f.at); e == nil && l != nil {
		e = l.field.Value
	}
	list, ok := e.(*ast.ListLit)
	if !ok {
		return false
	}
	have := len(list.Elts)
	f.list = true
	for _, n := range group[i].args {
		if n == strconv.Itoa(have) {
			continue
		}
		f.Msg = fmt.Sprintf("want %s elements, have %d", n, have)
		if want, err := strconv.Atoi(n); err == nil && want > have {
			f.Msg = fmt.Sprintf("want %d or more elements, have %d", want, have)
		}
		return true
	}
	return false
}

// elementAt is the index of the list element at pos, or -1.
func (p *places) elementAt(pos token.Pos) int {
	l := p.innermost(pos)
	if l == nil {
		return -1
	}
	list, ok := l.field.Value.(*ast.ListLit)
	if !ok {
		return -1
	}
	for i, e := range list.Elts {
		if e.Pos().IsValid() && e.Pos().Offset() <= pos.Offset() && pos.Offset() < e.End().Offset() {
			return i
		}
	}
	return -1
}
