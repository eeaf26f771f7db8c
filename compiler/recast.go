package compiler

import (
	"pipe.dev/compiler/ir"
)

// recast lets the backward pass of a narrow training make anew what the forward
// pass made wide of something narrow: casts, and elementwise ops of one narrow
// tensor, as the sigmoid of a gate or what a norm divides. So only narrow
// tensors are kept between the two. Narrow weights are kept, too, as long as a
// step: to make them again would read wide ones; remat does where memory is short.
func recast(c *context, g *ir.Graph) (*ir.Graph, error) {
	if t := c.opt.Training; t == nil || !t.narrow() || t.Phase != Step && t.Phase != Accumulate {
		return g, nil
	}
	forward := forwardNodes(g)
	again := map[ir.Value]ir.Value{}
	var remade func(r *rewriter, v ir.Value) ir.Value
	remade = func(r *rewriter, v ir.Value) ir.Value {
		if !v.Valid() || !forward[v.Node.ID] || !remakes(v.Node) {
			return r.now(v)
		}
		made, ok := again[v]
		if !ok {
			n := v.Node
			in := make([]ir.Value, len(n.In))
			for i, x := range n.In {
				in[i] = remade(r, x)
			}
			pos := r.Pos
			r.Pos = n.Pos
			made = r.Apply(n.Op, n.Attr, in...)[0]
			r.Pos, again[v] = pos, made
		}
		return made
	}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if forward[n.ID] {
			return nil
		}
		for i, v := range n.In {
			in[i] = remade(r, v)
		}
		return r.Apply(n.Op, n.Attr, in...)
	})
}

// remakes reports whether n makes a wide tensor of a single narrow one, so that it
// costs less to make again than to keep.
func remakes(n *ir.Node) bool {
	t := n.Types[0]
	if t.DType != ir.F32 || n.Op != "cast" && n.Op != "elementwise" && !elementwise(n.Op) {
		return false
	}
	var whole ir.Value // what n reads of its own size
	for _, v := range n.In {
		if v.Type().Len() != t.Len() {
			continue
		}
		if whole.Valid() && whole != v || !narrowType(v.Type().DType) && !remakes(v.Node) {
			return false
		}
		whole = v
	}
	return whole.Valid()
}
