package compiler

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Adapter adds a low-rank difference to chosen linear layers:
//
//	y = x Wᵀ + b + alpha/rank (x Aᵀ) Bᵀ   A [rank, in]   B [out, rank]
//
// Source: arXiv:2106.09685.
type Adapter struct {
	Rank    int
	Alpha   float64
	Targets func(path string) bool // by the path of the layer, without ".weight"
}

// The last parts of the paths of an adapter's weights, as PEFT has them.
const (
	loraA = ".lora_A.weight"
	loraB = ".lora_B.weight"
)

// AdapterWeights gives the paths of the adapter's weights for a weight that it
// adapts.
func AdapterWeights(path string) (a, b string) {
	base := strings.TrimSuffix(path, ".weight")
	return base + loraA, base + loraB
}

// adapt adds the adapter of a training to its graph, before anything else.
func adapt(c *context, g *ir.Graph) (*ir.Graph, error) {
	c.base = g
	if c.opt.Training == nil || c.opt.Training.Adapter == nil {
		return g, nil
	}
	a := c.opt.Training.Adapter
	adapted := map[string][2]ir.Value{}
	uses := countUses(g)
	for _, n := range g.Nodes {
		if path, ok := adaptable(n); ok && a.Targets(strings.TrimSuffix(path, ".weight")) && uses[n.In[1].Node.ID][0] > 1 {
			return nil, &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%s is shared by several layers, so an adapter of one can't be merged into it", path)}
		}
	}
	next, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		path, ok := adaptable(n)
		if !ok || !a.Targets(strings.TrimSuffix(path, ".weight")) {
			return nil
		}
		attr := n.Attr.(op.LinearAttr)
		w, ok := adapted[path]
		if !ok {
			w = r.lora(path, last(n.In[0].Type()), attr.OutFeatures, a.Rank)
			adapted[path] = w
		}
		down := r.Apply("linear", op.LinearAttr{OutFeatures: a.Rank}, in[0], w[0])[0]
		up := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, down, w[1])[0]
		y := r.Apply(n.Op, n.Attr, in...)[0]
		return []ir.Value{r.Add(y, r.Mul(up, r.Scalar(a.Alpha/float64(a.Rank), up)))}
	})
	if err == nil && len(adapted) == 0 {
		err = fmt.Errorf("no linear layer is a target of the adapter")
	}
	return next, err
}

// adaptable returns the path of the weight of a linear layer.
func adaptable(n *ir.Node) (string, bool) {
	if n.Op != "linear" || n.Attr.(op.LinearAttr).Transpose || n.In[1].Node.Op != ir.OpState {
		return "", false
	}
	return n.In[1].Node.Attr.(ir.StateAttr).Path, true
}

// lora adds the two weights: A as PEFT fills it, B zero, so that training
// begins at the model as it is.
func (r *rewriter) lora(path string, in ir.Dim, out, rank int) [2]ir.Value {
	a, b := AdapterWeights(path)
	return [2]ir.Value{
		r.Graph.AddState(ir.State{Path: a, Kind: ir.Weight, Init: "kaiming", Pos: r.Pos}, ir.Type{DType: ir.F32, Shape: []ir.Dim{ir.D(rank), in}}).Read,
		r.Graph.AddState(ir.State{Path: b, Kind: ir.Weight, Init: "zeros", Pos: r.Pos}, ir.T(ir.F32, out, rank)).Read,
	}
}

// isAdapter reports whether a weight belongs to an adapter.
func isAdapter(path string) bool {
	return strings.HasSuffix(path, loraA) || strings.HasSuffix(path, loraB)
}
