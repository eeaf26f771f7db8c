package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fusions recognise what is written in several ops and has a name of its own.
// Each is one sweep; later ones build on what earlier ones made.
var fusions = []struct {
	name string
	rule rule
}{
	{"silu", fuseSiLU},
	{"linear", fuseMatMul},
	{"bias", fuseBias},
	{"activation", fuseActivation},
	{"conv_activation", fuseConvActivation},
	{"norm_activation", fuseNormActivation},
	{"gated_linear", fuseGated},
	{"gated_halves", fuseHalves},
	{"softmax", fuseSoftmax},
	{"layer_norm", fuseLayerNorm}, // before rms_norm, which is part of it
	{"rms_norm", fuseRMSNorm},
	{"attention", fuseAttention},
}

// fuse applies every fusion once. Values that other nodes read as well are
// left alone where fusing would compute them twice.
func fuse(c *context, g *ir.Graph) (*ir.Graph, error) {
	for _, f := range fusions {
		next, err := rewrite(c.table, g, f.rule)
		if err != nil {
			return nil, err
		}
		g = next
	}
	return g, nil
}

// from returns the node that makes v, if it has the given op and v is its only
// output and read only once.
func (r *rewriter) from(v ir.Value, name string) *ir.Node {
	if !v.Valid() || v.Node.Op != name || !r.single(v) {
		return nil
	}
	return v.Node
}

// either calls f with both orders of n's two inputs until one fits.
func either(n *ir.Node, f func(a, b ir.Value) bool) bool {
	return f(n.In[0], n.In[1]) || f(n.In[1], n.In[0])
}

// lastAxis reports whether n reduces its last axis alone and keeps it.
func lastAxis(n *ir.Node) bool {
	a, ok := n.Attr.(op.ReduceAttr)
	return ok && a.Keep && (a.Axes == "-1" || a.Axes == op.MakeInts(n.In[0].Type().Rank()-1))
}

// vector reports whether v has one axis, of size n.
func vector(v ir.Value, n ir.Dim) bool {
	t := v.Type()
	return t.Rank() == 1 && t.Shape[0] == n
}

// last is the size of the last axis; of a scalar the zero Dim, which no axis has.
func last(t ir.Type) ir.Dim {
	if t.Rank() == 0 {
		return ir.Dim{}
	}
	return t.Shape[t.Rank()-1]
}
