package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// writeNorms writes weights otherwise while they are trained: as a length for each row and a direction,
//
//	weight = direction * length / |direction|
//
// or divided by their greatest singular value, which the vectors u and v of a step of the power
// iteration tell: they are statistics that each batch moves, and count as constants,
//
//	weight = original / (uᵀ W v)   u = W v / |W v|   v = Wᵀ u / |Wᵀ u|
//
// A weight is written once, however many ops read it. Its own state is the direction, or the original.
//
// Sources: arXiv:1602.07868, arXiv:1802.05957; rows and names are those of torch.nn.utils.parametrizations.
func writeNorms(c *context, g *ir.Graph) (*ir.Graph, error) {
	t := c.opt.Training
	if t == nil || t.Norm == nil {
		return g, nil
	}
	normed := map[*ir.Node]*ir.State{}
	for _, s := range g.States {
		x := s.Read.Type()
		if s.Kind == ir.Weight && !s.Statistic && x.Rank() > 1 && x.DType.Float() && t.Norm(s.Path) != train.NoNorm {
			if !x.Known() {
				return nil, &op.Error{Pos: s.Pos, Op: ir.OpState, Err: fmt.Errorf("%s is %v, and only a weight whose sizes are known has a norm", s.Path, x)}
			}
			normed[s.Read.Node] = s
		}
	}
	made := map[*ir.Node]ir.Value{}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		changed := false
		for i, x := range n.In {
			if !x.Valid() || normed[x.Node] == nil {
				continue
			}
			if _, ok := made[x.Node]; !ok {
				made[x.Node] = t.normed(r, normed[x.Node], in[i])
			}
			in[i], changed = made[x.Node], true
		}
		if !changed {
			return nil
		}
		return r.Apply(n.Op, n.Attr, in...)
	})
}

// normed writes the weight that stands for state s, which is read as x.
func (t *Training) normed(r *rewriter, s *ir.State, x ir.Value) ir.Value {
	pos := r.Pos
	defer func() { r.Pos = pos }()
	r.Pos = s.Pos
	r.Pos.Path = s.Path + ".norm"
	if t.Norm(s.Path) == train.SpectralNorm {
		return t.spectral(r, s, x)
	}
	shape, axes := []ir.Dim{x.Type().Shape[0]}, []int{}
	for i := 1; i < x.Type().Rank(); i++ {
		shape, axes = append(shape, ir.D(1)), append(axes, i)
	}
	length := r.Graph.AddState(ir.State{Path: train.LengthOf(s.Path), Kind: ir.Weight, Init: train.RowNorms, Pos: s.Pos}, ir.Type{DType: x.Type().DType, Shape: shape}).Read
	size := r.Sqrt(r.Sum(r.Mul(x, x), true, axes...))
	return r.Mul(x, r.Div(length, size))
}

// spectral divides a weight by its greatest singular value.
func (t *Training) spectral(r *rewriter, s *ir.State, x ir.Value) ir.Value {
	rows := x.Type().Shape[0]
	cols, one := ir.D(x.Type().Elems()/max(rows.N, 1)), ir.D(1)
	vector := func(path string, n ir.Dim) *ir.State {
		return r.Graph.AddState(ir.State{Path: path, Kind: ir.Weight, Init: train.Singular, Statistic: true, Pos: s.Pos}, ir.Type{DType: x.Type().DType, Shape: []ir.Dim{n}})
	}
	paths := train.SingularOf(s.Path)
	left, right := vector(paths[0], rows), vector(paths[1], cols)
	u, v := r.Reshape(left.Read, rows, one), r.Reshape(right.Read, cols, one)
	w := r.Reshape(x, rows, cols)
	if (t.Phase == Step || t.Phase == Accumulate) && (t.Learns == nil || t.Learns(s.Path)) {
		fixed := r.Detach(w)
		u = unit(r, r.MatMul(fixed, v, false, false))
		v = unit(r, r.MatMul(fixed, u, true, false))
		left.Next, right.Next = r.Reshape(u, rows), r.Reshape(v, cols)
	}
	sigma := r.Sum(r.Mul(r.Detach(u), r.MatMul(w, r.Detach(v), false, false)), false, 0, 1)
	return r.Div(x, sigma)
}

// unit is a vector divided by its norm.
func unit(r *rewriter, x ir.Value) ir.Value {
	norm := r.Sqrt(r.Sum(r.Mul(x, x), false, 0, 1))
	return r.Div(x, r.Max(norm, r.Scalar(1e-12, norm)))
}
