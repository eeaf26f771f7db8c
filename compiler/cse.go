package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// cse makes one node of nodes that have the same op, attributes and inputs.
// The first one stays, with its position. Ops have no effects, so this holds
// for all.
func cse(c *context, g *ir.Graph) (*ir.Graph, error) {
	type key struct {
		op   string
		attr any
		in   string
	}
	seen := map[key][]ir.Value{}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		k := key{op: n.Op, attr: n.Attr}
		for _, v := range in {
			if v.Valid() {
				k.in += fmt.Sprintf("%d.%d ", v.Node.ID, v.Out)
			} else {
				k.in += "- "
			}
		}
		if out, ok := seen[k]; ok {
			return out
		}
		out := r.Apply(n.Op, n.Attr, in...)
		seen[k] = out
		return out
	})
}
