package compiler

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// Adapter adds a low-rank difference to chosen linear layers:
//
//	y = x Wᵀ + b + scale (d(x) Aᵀ) Bᵀ   A [rank, in]   B [out, rank]
//
// where d is dropout, and scale is Alpha / Rank, or Alpha / sqrt(Rank). With a
// magnitude m [out] of its own, the rows of V = W + scale B A are divided by
// their norms, which count as constants, and multiplied by m:
//
//	y = x Wᵀ + b + (s - 1) d(x) Wᵀ + s scale (d(x) Aᵀ) Bᵀ   s = m / |V|
//
// Sources: arXiv:2106.09685; scale by the root arXiv:2312.03732; magnitude
// arXiv:2402.09353, as the PEFT library has it.
type Adapter struct {
	Rank      int
	Scale     float64
	Dropout   float64
	Magnitude bool
	Targets   func(path string) bool // by the path of the layer, without ".weight"
}

// adapt adds the adapter of a training to its graph, before anything else.
func adapt(c *context, g *ir.Graph) (*ir.Graph, error) {
	c.base = g
	if c.opt.Training == nil || c.opt.Training.Adapter == nil {
		return g, nil
	}
	a := c.opt.Training.Adapter
	uses := countUses(g)
	for _, n := range g.Nodes {
		if path, ok := adaptable(n); ok && a.Targets(strings.TrimSuffix(path, ".weight")) && uses[n.In[1].Node.ID][0] > 1 {
			return nil, &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%s is shared by several layers, so an adapter of one can't be merged into it", path)}
		}
	}
	adapted := 0
	next, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		path, ok := adaptable(n)
		if !ok || !a.Targets(strings.TrimSuffix(path, ".weight")) {
			return nil
		}
		adapted++
		return []ir.Value{a.layer(r, n, in, path)}
	})
	if err == nil && adapted == 0 {
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

// layer writes an adapted layer. A begins as PEFT fills it, B at zero and the
// magnitude at the norms of W, so that training begins at the model as it is.
func (a *Adapter) layer(r *rewriter, n *ir.Node, in []ir.Value, path string) ir.Value {
	attr, paths := n.Attr.(op.LinearAttr), train.AdapterOf(path)
	state := func(path, fill string, shape ...ir.Dim) ir.Value {
		return r.Graph.AddState(ir.State{Path: path, Kind: ir.Weight, Init: fill, Pos: r.Pos}, ir.Type{DType: ir.F32, Shape: shape}).Read
	}
	out, rank := ir.D(attr.OutFeatures), ir.D(a.Rank)
	wa, wb := state(paths.A, "kaiming", rank, last(n.In[0].Type())), state(paths.B, "zeros", out, rank)
	x, pos := in[0], r.Pos
	if a.Dropout > 0 {
		r.Pos.Path += ".lora_dropout"
		x = r.Apply("dropout", op.DropoutAttr{Rate: a.Dropout}, x, ir.Value{})[0]
		r.Pos = pos
	}
	y := r.Apply(n.Op, attr, in...)[0]
	down := r.Apply("linear", op.LinearAttr{OutFeatures: a.Rank}, x, wa)[0]
	up := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, down, wb)[0]
	delta := r.Mul(up, r.Scalar(a.Scale, up))
	if !a.Magnitude {
		return r.Add(y, delta)
	}
	s := r.Div(state(paths.Magnitude, train.RowNorms, out), a.norms(r, in[1], wa, wb))
	plain := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, x, in[1])[0]
	return r.Add(y, r.Add(r.Mul(r.Sub(s, r.Scalar(1, s)), plain), r.Mul(s, delta)))
}

// norms are the Euclidean norms of the rows of w + scale wb wa, through which
// no gradient flows.
func (a *Adapter) norms(r *rewriter, w, wa, wb ir.Value) ir.Value {
	v := r.MatMul(wb, wa, false, false)
	v = r.Add(r.Cast(w, ir.F32), r.Mul(v, r.Scalar(a.Scale, v)))
	return r.Detach(r.Sqrt(r.Sum(r.Mul(v, v), false, -1)))
}
