package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// segmentsPort is where attention reads the documents of its keys.
const segmentsPort = 5

// isolate keeps documents that share a row from seeing each other: the program
// gets an input "segments" [batch, seq], the number of the document at each
// position, which every attention over the row reads.
func isolate(c *context, g *ir.Graph) (*ir.Graph, error) {
	if c.opt.Training == nil || !c.opt.Training.Isolate || !c.opt.Training.Phase.computes() {
		return g, nil
	}
	var segments ir.Value
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "attention" || in[segmentsPort].Valid() || !sameRows(in[0].Type(), in[1].Type()) {
			return nil
		}
		if !segments.Valid() {
			row := in[0].Type().Shape[:2]
			segments = r.Graph.AddInput("segments", ir.Type{DType: ir.I32, Shape: row}, ir.Pos{Path: "segments"})
		}
		in = append([]ir.Value{}, in...)
		in[segmentsPort] = segments
		return r.Apply(n.Op, n.Attr.(op.AttentionAttr), in...)
	})
}
