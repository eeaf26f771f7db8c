package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fuseConvActivation: act(conv) -> a convolution with an activation.
func fuseConvActivation(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
	fn := plainActivation(n)
	if fn == "" || !r.single(n.In[0]) {
		return nil
	}
	c := n.In[0].Node
	switch a := c.Attr.(type) {
	case op.ConvLayerAttr:
		if a.Act == "" {
			a.Act = fn
			return r.Apply(c.Op, a, r.nows(c.In)...)
		}
	case op.ConvTransposeLayerAttr:
		if a.Act == "" {
			a.Act = fn
			return r.Apply(c.Op, a, r.nows(c.In)...)
		}
	}
	return nil
}
