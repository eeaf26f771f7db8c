package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// copies lets the weights of a training whose updates are apart be as narrow as the model computes with them: those that
// are cast by all that read them. What they are copies of is wide, so the numbers are those of a cast here.
func copies(c *context, g *ir.Graph) (*ir.Graph, error) {
	t := c.opt.Training
	if t == nil || t.Copied == nil || !t.Apart || !t.narrow() || !t.Phase.computes() {
		return g, nil
	}
	r := &narrowReaders{table: c.table, to: t.Precision, fused: t.Phase == Evaluate, of: map[ir.Value][]*ir.Node{}, uses: countUses(g)}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				r.of[v] = append(r.of[v], n)
			}
		}
	}
	var narrow []*ir.Node // types are those of the old graph until all are found
	for _, s := range g.States {
		if !s.Next.Valid() && !s.Statistic && s.Kind != ir.Cache && t.Copied(s.Path) && s.Read.Type().DType == ir.F32 && r.all(s.Read, r.casts) {
			narrow = append(narrow, s.Read.Node)
		}
	}
	for _, n := range narrow {
		n.Types = []ir.Type{n.Types[0].As(t.Precision)}
	}
	return rewrite(c.table, g, func(_ *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op == "cast" && in[0].Type().DType == n.Types[0].DType {
			return in
		}
		return nil
	})
}

// narrowReaders knows who reads values, and which readers make them narrow.
type narrowReaders struct {
	table *op.Table
	to    ir.DType
	fused bool // whether ops stand for what they are lowered to
	of    map[ir.Value][]*ir.Node
	uses  [][]int
}

// all reports whether v is read, by nodes alone, and by none but such.
func (r *narrowReaders) all(v ir.Value, such func(n *ir.Node, v ir.Value) bool) bool {
	list := r.of[v]
	return len(list) > 0 && len(list) == r.uses[v.Node.ID][v.Out] && !slices.ContainsFunc(list, func(n *ir.Node) bool { return !such(n, v) })
}

// casts reports whether n casts a weight that it reads: by itself; or after it took rows of it; or because that is what
// it means. (Kernels of a product of something narrow may read a wide weight as it is: an evaluation may do either.)
func (r *narrowReaders) casts(n *ir.Node, w ir.Value) bool {
	if n.Op == "embedding" || n.Op == "gather" {
		return r.all(ir.Value{Node: n}, r.cast)
	}
	return r.cast(n, w) || r.fused && r.meansCast(n, w)
}

func (r *narrowReaders) cast(n *ir.Node, _ ir.Value) bool {
	return n.Op == "cast" && n.Types[0].DType == r.to
}

// meansCast reports whether n, lowered, does nothing with w but cast it.
func (r *narrowReaders) meansCast(n *ir.Node, w ir.Value) bool {
	d, ok := r.table.Lookup(n.Op)
	if !ok || d.Lower == nil {
		return false
	}
	b, m := op.NewBuilder(r.table), *n
	m.In = make([]ir.Value, len(n.In))
	of := map[ir.Value]bool{} // what stands for w
	for i, v := range n.In {
		if v.Valid() {
			m.In[i] = b.Graph.AddInput(fmt.Sprint(i), v.Type(), n.Pos)
			of[m.In[i]] = v == w
		}
	}
	out := d.Lower(b, &m)
	return b.Err() == nil && !slices.ContainsFunc(out, func(v ir.Value) bool { return of[v] }) && !slices.ContainsFunc(b.Graph.Nodes, func(x *ir.Node) bool {
		return slices.ContainsFunc(x.In, func(v ir.Value) bool { return of[v] && !r.cast(x, v) })
	})
}
