package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
)

// narrow moves the choice of one row for each sequence (pick) up through ops
// that compute rows on their own, so that only the rows that are read are
// computed: a vocabulary-sized product for one position instead of all. What
// is needed for all rows anyway stays, and is picked from.
func narrow(c *context, g *ir.Graph) (*ir.Graph, error) {
	picked := c.pickedOnly(g)
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if n.Op != "pick" {
			return nil
		}
		p := &picker{r: r, c: c, index: in[1], only: picked[n], done: map[ir.Value]ir.Value{}}
		return []ir.Value{p.pick(n.In[0])}
	})
}

// pickedOnly finds, for each pick of g, the nodes that can be computed for the
// chosen rows alone, because everything that reads them is.
func (c *context) pickedOnly(g *ir.Graph) map[*ir.Node]map[*ir.Node]bool {
	users := make([][]*ir.Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				users[v.Node.ID] = append(users[v.Node.ID], n)
			}
		}
	}
	wanted := map[*ir.Node]bool{} // as a whole
	for _, o := range g.Outputs {
		wanted[o.Value.Node] = true
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			wanted[s.Next.Node] = true
		}
	}
	out := map[*ir.Node]map[*ir.Node]bool{}
	for _, pick := range g.Nodes {
		if pick.Op != "pick" {
			continue
		}
		only := map[*ir.Node]bool{}
		for i := pick.ID - 1; i >= 0; i-- {
			n := g.Nodes[i]
			if wanted[n] || len(users[i]) == 0 || !c.byRows(n) && !c.everyInput(n) {
				continue
			}
			only[n] = !slices.ContainsFunc(users[i], func(user *ir.Node) bool {
				read := user == pick || only[user] && (c.everyInput(user) || !slices.ContainsFunc(user.In[1:], func(v ir.Value) bool { return v.Node == n }))
				return !read
			})
		}
		out[pick] = only
	}
	return out
}

// picker rebuilds what a value of the old graph depends on, for the chosen
// rows only.
type picker struct {
	r     *rewriter
	c     *context
	index ir.Value
	only  map[*ir.Node]bool
	done  map[ir.Value]ir.Value
}

func (p *picker) pick(v ir.Value) ir.Value {
	if out, ok := p.done[v]; ok {
		return out
	}
	n := v.Node
	in := make([]ir.Value, len(n.In))
	if p.only[n] {
		for i, x := range n.In {
			if i == 0 || p.c.everyInput(n) {
				in[i] = p.pick(x)
			} else {
				in[i] = p.r.now(x)
			}
		}
	}
	p.r.Pos = n.Pos
	var out ir.Value
	if p.only[n] {
		out = p.r.Apply(n.Op, n.Attr, in...)[0]
	} else {
		out = p.r.Apply("pick", nil, p.r.now(v), p.index)[0]
	}
	p.done[v] = out
	return out
}

// byRows reports whether row i of n depends on row i of its first input only.
func (c *context) byRows(n *ir.Node) bool {
	d, ok := c.table.Lookup(n.Op)
	return ok && d.Rows && len(n.Types) == 1 && n.Types[0].Rank() >= 3 &&
		n.In[0].Valid() && n.In[0].Type().Rank() == n.Types[0].Rank()
}

// everyInput reports whether n is elementwise over inputs of its own shape.
func (c *context) everyInput(n *ir.Node) bool {
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
