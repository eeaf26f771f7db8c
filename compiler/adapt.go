package compiler

import (
	"fmt"
	"slices"
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
	// Layer describes what is added to the layer at a path, without ".weight"; ok
	// is false if it is not adapted.
	Layer func(path string) (l AdaptedLayer, ok bool)
	// Fixed says that neither the adapter nor the base changes, so that m / |V|
	// is a weight, computed once, instead of m.
	Fixed bool
}

// AdaptedLayer is what an adapter has for one layer.
type AdaptedLayer struct {
	Rank      int
	Scale     float64
	Dropout   float64 // share of x that the added product does not see
	Magnitude bool
}

// adapt adds an adapter to the graph of a model, before anything else: that of
// a training, which changes it, or one whose weights stay.
func adapt(c *context, g *ir.Graph) (*ir.Graph, error) {
	c.base = g
	a := c.opt.Adapter
	if c.opt.Training != nil {
		a = c.opt.Training.Adapter
	}
	if a == nil {
		return g, nil
	}
	alone := unshared(g)
	for _, n := range g.Nodes {
		if path, ok := a.adapts(n); ok && !alone(n) {
			return nil, &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%s is shared by several layers, so an adapter of one can't be merged into it", path)}
		}
	}
	adapted := 0
	made := map[string]ir.Value{}
	next, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		path, ok := a.adapts(n)
		if !ok {
			return nil
		}
		adapted++
		return []ir.Value{a.layer(r, n, in, path, made)}
	})
	if err == nil && adapted == 0 && !a.Fixed { // a fixed one has layers that this entry may not compute
		err = fmt.Errorf("no linear layer is a target of the adapter")
	}
	return next, err
}

// unshared says of layers whether their weights are theirs alone. A layer of a
// model that is called several times is one.
func unshared(g *ir.Graph) func(n *ir.Node) bool {
	uses := countUses(g)
	same := map[*ir.Node]int{} // uses of a weight by the layer that uses it first
	first := map[*ir.Node]ir.Pos{}
	line := func(n *ir.Node) ir.Pos { return ir.Pos{File: n.Pos.File, Line: n.Pos.Line, Col: n.Pos.Col} }
	for _, n := range g.Nodes {
		if _, ok := adaptable(n); !ok {
			continue
		}
		w := n.In[1].Node
		if _, ok := first[w]; !ok {
			first[w] = line(n)
		}
		if first[w] == line(n) {
			same[w]++
		}
	}
	return func(n *ir.Node) bool { w := n.In[1].Node; return uses[w.ID][0] == same[w] }
}

// adaptable returns the path of the weight of a linear layer, or of a convolution
// that does not divide channels into groups.
func adaptable(n *ir.Node) (string, bool) {
	switch at := n.Attr.(type) {
	case op.LinearAttr:
		if n.Op != "linear" || at.Transpose {
			return "", false
		}
	case op.ConvLayerAttr:
		if at.Groups != 1 || at.Act != "" {
			return "", false
		}
	default:
		return "", false
	}
	if len(n.In) < 2 || n.In[1].Node.Op != ir.OpState {
		return "", false
	}
	return n.In[1].Node.Attr.(ir.StateAttr).Path, true
}

// adapts is adaptable for the layers of the adapter.
func (a *Adapter) adapts(n *ir.Node) (string, bool) {
	path, ok := adaptable(n)
	if ok {
		_, ok = a.Layer(strings.TrimSuffix(path, ".weight"))
	}
	return path, ok
}

// layer writes an adapted layer. made holds the weights of the adapter that are there. A begins as PEFT fills it, B at zero and the
// magnitude at the norms of W, so that training begins at the model as it is.
func (a *Adapter) layer(r *rewriter, n *ir.Node, in []ir.Value, path string, made map[string]ir.Value) ir.Value {
	l, _ := a.Layer(strings.TrimSuffix(path, ".weight"))
	paths := train.AdapterOf(path)
	state := func(path, fill string, shape ...ir.Dim) ir.Value {
		if _, ok := made[path]; !ok {
			made[path] = r.Graph.AddState(ir.State{Path: path, Kind: ir.Weight, Init: fill, Pos: r.Pos}, ir.Type{DType: ir.F32, Shape: shape}).Read
		}
		return made[path]
	}
	if conv, ok := n.Attr.(op.ConvLayerAttr); ok {
		return convolution(r, n, in, conv, l, state, paths)
	}
	attr := n.Attr.(op.LinearAttr)
	out, rank := ir.D(attr.OutFeatures), ir.D(l.Rank)
	wa, wb := state(paths.A, "kaiming", rank, last(n.In[0].Type())), state(paths.B, "zeros", out, rank)
	x, pos := in[0], r.Pos
	if l.Dropout > 0 {
		r.Pos.Path += ".lora_dropout"
		x = r.Apply("dropout", op.DropoutAttr{Rate: l.Dropout}, x, ir.Value{})[0]
		r.Pos = pos
	}
	y := r.Apply(n.Op, attr, in...)[0]
	down := r.Apply("linear", op.LinearAttr{OutFeatures: l.Rank}, x, wa)[0]
	up := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, down, wb)[0]
	delta := r.Mul(up, r.Scalar(l.Scale, up))
	if !l.Magnitude {
		return r.Add(y, delta)
	}
	if a.Fixed {
		plain := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, x, in[1])[0]
		y := r.Mul(state(paths.Ratio, "ones", out), r.Add(plain, delta))
		if len(in) > 2 && in[2].Valid() {
			y = r.Add(y, in[2])
		}
		return y
	}
	s := r.Div(state(paths.Magnitude, train.RowNorms, out), norms(r, in[1], wa, wb, l.Scale))
	plain := r.Apply("linear", op.LinearAttr{OutFeatures: attr.OutFeatures}, x, in[1])[0]
	return r.Add(y, r.Add(r.Mul(r.Sub(s, r.Scalar(1, s)), plain), r.Mul(s, delta)))
}

// convolution adapts a convolution: the first factor is one of the same kernel to
// as many channels as the rank says, the second one of single points.
func convolution(r *rewriter, n *ir.Node, in []ir.Value, attr op.ConvLayerAttr, l AdaptedLayer, state func(path, fill string, shape ...ir.Dim) ir.Value, paths train.AdapterPaths) ir.Value {
	if l.Magnitude {
		r.Fail(&op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("the adapter of a convolution has no magnitude")})
		return in[0]
	}
	shape := n.In[1].Type().Shape
	first, second := attr, op.ConvLayerAttr{OutChannels: attr.OutChannels, Kernel: "1", Stride: "1", Padding: "0", Dilation: "1", Groups: 1}
	first.OutChannels, first.Bias = l.Rank, false
	ones := slices.Repeat([]ir.Dim{ir.D(1)}, len(shape)-2)
	wa := state(paths.A, "kaiming", append([]ir.Dim{ir.D(l.Rank)}, shape[1:]...)...)
	wb := state(paths.B, "zeros", append([]ir.Dim{shape[0], ir.D(l.Rank)}, ones...)...)
	x, pos := in[0], r.Pos
	if l.Dropout > 0 {
		r.Pos.Path += ".lora_dropout"
		x = r.Apply("dropout", op.DropoutAttr{Rate: l.Dropout}, x, ir.Value{})[0]
		r.Pos = pos
	}
	y := r.Apply(n.Op, attr, in...)[0]
	up := r.Apply(n.Op, second, r.Apply(n.Op, first, x, wa)[0], wb)[0]
	return r.Add(y, r.Mul(up, r.Scalar(l.Scale, up)))
}

// norms are the Euclidean norms of the rows of w + scale wb wa, through which
// no gradient flows.
func norms(r *rewriter, w, wa, wb ir.Value, scale float64) ir.Value {
	v := r.MatMul(wb, wa, false, false)
	v = r.Add(r.Cast(w, ir.F32), r.Mul(v, r.Scalar(scale, v)))
	return r.Detach(r.Sqrt(r.Sum(r.Mul(v, v), false, -1)))
}
