package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
)

// narrow moves the choice of one row for each sequence (pick) up through ops
// that compute rows on their own, so that only the rows that are read are
// computed: a vocabulary-sized product for one position instead of all.
func narrow(c *context, g *ir.Graph) (*ir.Graph, error) {
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "pick" {
			return nil
		}
		p := &picker{r: r, c: c, index: in[1], done: map[ir.Value]ir.Value{}}
		return []ir.Value{p.pick(in[0])}
	})
}

// picker rebuilds what a value depends on, for the chosen rows only. It works
// on the new graph.
type picker struct {
	r     *rewriter
	c     *context
	index ir.Value
	done  map[ir.Value]ir.Value
}

func (p *picker) pick(v ir.Value) ir.Value {
	if out, ok := p.done[v]; ok {
		return out
	}
	n := v.Node
	var out ir.Value
	switch {
	case p.byRows(n):
		in := append([]ir.Value{}, n.In...)
		in[0] = p.pick(in[0])
		p.r.Pos = n.Pos
		out = p.r.Apply(n.Op, n.Attr, in...)[0]
	case p.everyInput(n):
		in := make([]ir.Value, len(n.In))
		for i, x := range n.In {
			in[i] = p.pick(x)
		}
		p.r.Pos = n.Pos
		out = p.r.Apply(n.Op, n.Attr, in...)[0]
	default:
		p.r.Pos = n.Pos
		out = p.r.Apply("pick", nil, v, p.index)[0]
	}
	p.done[v] = out
	return out
}

// byRows reports whether row i of n depends on row i of its first input only.
func (p *picker) byRows(n *ir.Node) bool {
	d, ok := p.c.table.Lookup(n.Op)
	return ok && d.Rows && len(n.Types) == 1 && n.Types[0].Rank() >= 3 &&
		n.In[0].Valid() && n.In[0].Type().Rank() == n.Types[0].Rank()
}

// everyInput reports whether n is elementwise over inputs of its own shape.
func (p *picker) everyInput(n *ir.Node) bool {
	if !elementwise(n.Op) || n.Types[0].Rank() < 2 {
		return false
	}
	for _, v := range n.In {
		if !slices.Equal(v.Type().Shape, n.Types[0].Shape) {
			return false
		}
	}
	return true
}
