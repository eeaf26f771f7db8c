package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// Builder appends nodes to a graph. The first error sticks; later calls do
// nothing, so that formulas read as formulas.
type Builder struct {
	Table *Table
	Graph *ir.Graph
	Pos   ir.Pos // given to the nodes that follow
	err   error
	keep  func(n *ir.Node) bool // while a graph is lowered: what stays as it is
}

// NewBuilder returns a builder on a new graph.
func NewBuilder(t *Table) *Builder { return &Builder{Table: t, Graph: &ir.Graph{}} }

// Err returns the first error met.
func (b *Builder) Err() error { return b.err }

// Fail records err, if it is the first.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Apply appends one node and returns its outputs. The zero Value leaves an
// optional port out. After an error the outputs are placeholders, which may be
// handed on but not used.
func (b *Builder) Apply(name string, attr any, in ...ir.Value) []ir.Value {
	bad := []ir.Value{{Node: &ir.Node{Types: make([]ir.Type, 8)}}}
	if b.err != nil {
		return b.broken(name, bad)
	}
	d, ok := b.Table.Lookup(name)
	if !ok {
		b.Fail(&Error{Pos: b.Pos, Op: name, Err: fmt.Errorf("unknown op")})
		return bad
	}
	types, err := d.Infer(ir.TypesOf(in), attr)
	if err != nil {
		b.Fail(&Error{Pos: b.Pos, Op: name, Err: err})
		return b.broken(name, bad)
	}
	n := &ir.Node{Op: name, In: slices.Clone(in), Attr: attr, Types: types, Pos: b.Pos}
	if b.keep != nil && d.Lower != nil && !b.keep(n) {
		return b.lower(d, n)
	}
	return b.Graph.Add(n)
}

// Meaning is Apply for an op with a meaning in simpler ones, which are appended
// instead of it.
func (b *Builder) Meaning(d *Def, attr any, in ...ir.Value) []ir.Value {
	bad := []ir.Value{{Node: &ir.Node{Types: make([]ir.Type, 8)}}}
	if b.err != nil {
		return b.broken(d.Name, bad)
	}
	types, err := d.Infer(ir.TypesOf(in), attr)
	if err != nil {
		b.Fail(&Error{Pos: b.Pos, Op: d.Name, Err: err})
		return b.broken(d.Name, bad)
	}
	return b.lower(d, &ir.Node{Op: d.Name, In: slices.Clone(in), Attr: attr, Types: types, Pos: b.Pos})
}

// broken stands for the outputs of an op that could not be built, so that
// formulas may go on until the error is looked at.
func (b *Builder) broken(name string, bad []ir.Value) []ir.Value {
	out := slices.Clip(bad)
	if d, ok := b.Table.Lookup(name); ok {
		for len(out) < len(d.Outputs) {
			out = append(out, ir.Value{Node: bad[0].Node, Out: len(out)})
		}
	}
	return out
}

// Error is a fault of one node: what asked for it, which op, and the fact.
type Error struct {
	Pos ir.Pos
	Op  string
	Err error
}

func (e *Error) Error() string {
	if at := e.Pos.String(); at != "" {
		return fmt.Sprintf("%s: %s: %v", at, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Position is the line that asked for the node.
func (e *Error) Position() ir.Pos { return e.Pos }
