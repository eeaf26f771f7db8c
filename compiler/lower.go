package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// lower replaces every op without a kernel on the target by its meaning in
// simpler ops, until all have one. Views never need a kernel of their own.
func lower(c *context, g *ir.Graph) (*ir.Graph, error) {
	for range 16 { // far deeper than ops nest
		changed := false
		next, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
			d, _ := c.table.Lookup(n.Op)
			if c.hasKernel(n) {
				return nil
			}
			if d.Lower == nil {
				r.Fail(&op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%s has no kernel for %v", c.opt.Target.Name(), n.Types[0].DType)})
				return nil
			}
			changed = true
			copied := *n
			copied.In = in
			return d.Lower(r.Builder, &copied)
		})
		if err != nil || !changed {
			return next, err
		}
		g = next
	}
	return nil, fmt.Errorf("lowering does not come to an end")
}

func (c *context) hasKernel(n *ir.Node) bool {
	_, ok := c.kernel(n)
	return ok || c.isView(n) || n.Op == ir.OpScan
}

func (c *context) kernel(n *ir.Node) (kernels.Kernel, bool) {
	return c.opt.Target.Kernel(n.Op, n.Attr, ir.TypesOf(n.In), n.Types)
}

// isView reports whether a node's output is its first input's memory under
// another shape.
func (c *context) isView(n *ir.Node) bool {
	d, ok := c.table.Lookup(n.Op)
	return ok && d.View
}
