package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// hidden is added to the scores of keys that a query must not see. It is
// finite, so that no arithmetic gives NaN, and far below any score.
const hidden = -1e30

// isolate keeps documents that share a row from seeing each other: the program
// gets an input "segments" [batch, seq], the number of the document at each
// position, and every attention over the row adds a mask to its scores that is
// low where the numbers differ.
func isolate(c *context, g *ir.Graph) (*ir.Graph, error) {
	if c.opt.Training == nil || !c.opt.Training.Isolate || c.opt.Training.Phase == Update {
		return g, nil
	}
	var mask ir.Value
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "attention" || in[3].Valid() || n.In[0].Type().Shape[1] != n.In[1].Type().Shape[1] {
			return nil
		}
		if !mask.Valid() {
			q := in[0].Type()
			mask = r.segmentMask(q.Shape[0], q.Shape[1])
		}
		in = append([]ir.Value{}, in...)
		in[3] = mask
		return r.Apply(n.Op, n.Attr, in...)
	})
}

// segmentMask writes the mask [batch, 1, seq, seq].
func (r *rewriter) segmentMask(batch, seq ir.Dim) ir.Value {
	one := ir.D(1)
	s := r.Graph.AddInput("segments", ir.Type{DType: ir.I32, Shape: []ir.Dim{batch, seq}}, ir.Pos{Path: "segments"})
	differ := r.Ne(r.Reshape(s, batch, one, seq, one), r.Reshape(s, batch, one, one, seq))
	return r.Mul(r.Cast(differ, ir.F32), r.Apply("fill", op.FillAttr{DType: "f32", Value: hidden})[0])
}
