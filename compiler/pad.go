package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// lengthsPort is where attention reads how many keys each sequence has.
const lengthsPort = 6

// pad makes sequences of several lengths fit into one call, filled up at their
// ends: attention that looks both ways sees the keys of the sequence alone, by an
// input "lengths" [batch]. Causal attention needs nothing: a position sees none
// after it.
func pad(c *context, g *ir.Graph) (*ir.Graph, error) {
	if !c.opt.Entry.Padded {
		return g, nil
	}
	var lengths ir.Value
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "attention" || n.Attr.(op.AttentionAttr).Causal || in[lengthsPort].Valid() || !sameRows(in[0].Type(), in[1].Type()) {
			return nil
		}
		if !lengths.Valid() {
			lengths = r.Graph.AddInput("lengths", ir.Type{DType: ir.I32, Shape: in[0].Type().Shape[:1]}, ir.Pos{Path: "lengths"})
		}
		in = append([]ir.Value{}, in...)
		in[lengthsPort] = lengths
		return r.Apply(n.Op, n.Attr, in...)
	})
}

// sameRows reports whether queries and keys are of the same positions.
func sameRows(query, key ir.Type) bool { return query.Shape[1] == key.Shape[1] }
