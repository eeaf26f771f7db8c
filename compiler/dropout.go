package compiler

import (
	"fmt"
	"hash/fnv"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// dropout settles what is left out: choices of experts beyond their capacity,
// and what chance says. A program that learns gets the
// input "counter", the number of the batch, and each op a seed of its own, of
// the training's seed and the op's path; every other program computes with
// everything.
func dropout(c *context, g *ir.Graph) (*ir.Graph, error) {
	var err error
	if c.base != nil { // a reference model does not learn
		if c.base, err = withoutDropout(c, c.base); err != nil {
			return nil, err
		}
	}
	t := c.opt.Training
	if t == nil || t.Phase != Step && t.Phase != Accumulate {
		return withoutDropout(c, g)
	}
	var counter ir.Value
	seen := map[string]int{}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "dropout" || in[1].Valid() {
			return nil
		}
		at := n.Attr.(op.DropoutAttr)
		if at.Rate == 0 {
			return in[:1]
		}
		if !counter.Valid() {
			counter = r.Graph.AddInput("counter", ir.T(ir.I32), ir.Pos{Path: "counter"})
		}
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %s %d", t.Part, n.Pos.Path, seen[n.Pos.Path])
		seen[n.Pos.Path]++
		at.Seed = t.Seed ^ h.Sum64()
		return r.Apply("dropout", at, in[0], counter)
	})
}

func withoutDropout(c *context, g *ir.Graph) (*ir.Graph, error) {
	leavesOut := func(n *ir.Node) bool { return n.Op == "dropout" || n.Op == "within_capacity" }
	if !slices.ContainsFunc(g.Nodes, leavesOut) {
		return g, nil
	}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		switch {
		case n.Op == "within_capacity":
			return []ir.Value{r.Cast(in[0], n.Types[0].DType)}
		case leavesOut(n):
			return in[:1]
		}
		return nil
	})
}
