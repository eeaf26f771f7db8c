package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// pairs leaves rows of queries and keys as their file has them. Positions turn pairs of
// elements of a head; the document has the first elements of all pairs before the
// second ones, and a file, as those of the format GGUF, may have the two of a pair as
// neighbours. Then a rope reads neighbours and writes them apart, so that all behind it is as
// the document says, to the bit, and no weight has to be copied into the document's order.
func pairs(c *context, g *ir.Graph) (*ir.Graph, error) {
	if c.opt.Pairs == nil || c.opt.Training != nil {
		return g, nil
	}
	f := pairing{context: c, g: g, uses: countUses(g), found: map[*ir.Node]int{}}
	for _, o := range g.Outputs {
		f.uses[o.Value.Node.ID][o.Value.Out]-- // they get the document's order, see show
	}
	for _, n := range g.Nodes {
		if n.Op == "rope" {
			f.find(n)
		}
	}
	if len(f.found) == 0 {
		return g, nil
	}
	next, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "rope" || f.found[n.In[0].Node] == 0 {
			return nil
		}
		a := n.Attr.(op.RopeAttr)
		a.Interleaved, a.Apart = true, true
		return r.Apply(n.Op, a, in...)
	})
	if err != nil {
		return nil, err
	}
	return next, f.show(next)
}

// pairing looks for weights that have pairs as neighbours.
type pairing struct {
	*context
	g     *ir.Graph
	uses  [][]int          // of values, by nodes and next states
	found map[*ir.Node]int // weights, linear layers and what splits these into heads: how many heads the last axis of their output is
}

// find notes what a rope reads if that comes of one weight, each node for the next alone, whose
// heads are as many and wholly turned.
func (f *pairing) find(rope *ir.Node) {
	a, x := rope.Attr.(op.RopeAttr), rope.In[0]
	size := x.Type().Shape[x.Type().Rank()-1]
	if a.Interleaved || !size.Known() || size.N != a.Dim || !f.alone(x) || !f.turns(a, rope) {
		return
	}
	heads := x.Node
	n, ok := heads.Attr.(op.HeadsAttr)
	if !ok || !f.alone(heads.In[0]) {
		return
	}
	linear := heads.In[0].Node
	path, ok := adaptable(linear)
	if !ok || linear.Op != "linear" || len(linear.In) > 2 && linear.In[2].Valid() || !f.alone(linear.In[1]) {
		return
	}
	if has, ok := f.opt.Pairs(path); ok && has == n.N {
		f.found[linear.In[1].Node], f.found[linear], f.found[heads] = n.N, n.N, 1
	}
}

// alone reports whether one node reads a value, and no state becomes it.
func (f *pairing) alone(v ir.Value) bool { return f.uses[v.Node.ID][v.Out] == 1 }

// turns reports whether the target has a kernel that writes neighbours apart.
func (f *pairing) turns(a op.RopeAttr, rope *ir.Node) bool {
	x := rope.In[0].Type()
	angle := ir.Type{DType: ir.F32, Shape: append(append([]ir.Dim{}, x.Shape[:2]...), ir.D(a.Dim/2))}
	_, ok := f.opt.Target.Kernel("rotate", op.RotateAttr{Dim: a.Dim, Interleaved: true, Apart: true}, []ir.Type{x, angle, angle}, rope.Types)
	return ok
}

// show says of the weights in which order they lie, and gives results that of the document.
func (f *pairing) show(next *ir.Graph) error {
	found := map[string]bool{}
	for _, s := range f.g.States {
		found[s.Path] = f.found[s.Read.Node] > 0
	}
	for _, s := range next.States {
		s.Pairs = found[s.Path]
	}
	b := op.NewBuilder(f.table)
	b.Graph = next
	for i, o := range f.g.Outputs {
		if heads := f.found[o.Value.Node]; heads > 0 {
			b.Pos = o.Value.Node.Pos
			next.Outputs[i].Value = apart(b, next.Outputs[i].Value, heads)
		}
	}
	return b.Err()
}

// apart returns x, whose last axis is so many heads, with the first elements of a head's pairs before
// the second ones.
func apart(b *op.Builder, x ir.Value, heads int) ir.Value {
	shape := x.Type().Shape
	last := len(shape) - 1
	pairs := append(append([]ir.Dim{}, shape[:last]...), ir.D(heads), ir.D(shape[last].N/heads/2), ir.D(2))
	perm := make([]int, last+3)
	for i := range perm {
		perm[i] = i
	}
	perm[last+1], perm[last+2] = last+2, last+1
	return b.Reshape(b.Transpose(b.Reshape(x, pairs...), perm...), shape...)
}
