package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// verify checks the structure of g and that every node has the types that its
// op's shape rule gives, so that a pass that breaks a graph is named at once.
func verify(t *op.Table, g *ir.Graph) error {
	if err := g.Verify(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if n.Op == ir.OpInput || n.Op == ir.OpState {
			continue
		}
		d, ok := t.Lookup(n.Op)
		if !ok {
			return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("unknown op")}
		}
		if a, ok := n.Attr.(op.ScanAttr); ok {
			if err := verify(t, a.Body); err != nil {
				return err
			}
		}
		types, err := d.Infer(ir.TypesOf(n.In), n.Attr)
		if err != nil {
			return &op.Error{Pos: n.Pos, Op: n.Op, Err: err}
		}
		if len(types) != len(n.Types) {
			return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%d outputs, its rule gives %d", len(n.Types), len(types))}
		}
		for i := range types {
			if !types[i].Equal(n.Types[i]) {
				return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("output %d is %v, its rule gives %v", i, n.Types[i], types[i])}
			}
		}
	}
	return nil
}
