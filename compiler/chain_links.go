package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// links say of the elementwise nodes of a graph which are computed where they
// are read.
type links struct {
	readers map[*ir.Node][]*ir.Node
	wanted  map[*ir.Node]bool   // outputs, and next values of states
	part    map[*ir.Node]bool   // written into whatever reads them
	sums    map[*ir.Node]bool   // nodes that add up all elements of a value
	group   map[*ir.Node]*group // of next values that are made together
	homes   map[*ir.Node][]*ir.Node
}

// group are nodes of one shape that become one op, in the order of the graph.
type group struct{ roots []*ir.Node }

// link goes from readers to what they read. A node is a part of what reads it
// if that all becomes one op, or if it costs nothing to compute it several
// times.
func link(g *ir.Graph) *links {
	l := &links{readers: map[*ir.Node][]*ir.Node{}, wanted: map[*ir.Node]bool{}, part: map[*ir.Node]bool{},
		sums: map[*ir.Node]bool{}, group: map[*ir.Node]*group{}, homes: map[*ir.Node][]*ir.Node{}}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				l.readers[v.Node] = append(l.readers[v.Node], n)
			}
		}
		l.sums[n] = addsUpAll(n)
	}
	for _, o := range g.Outputs {
		l.wanted[o.Value.Node] = true
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			l.wanted[s.Next.Node] = true
		}
	}
	l.groups(g)
	for _, n := range slices.Backward(g.Nodes) {
		if l.homes[n] = []*ir.Node{l.home(n)}; !chainable(n) || l.wanted[n] {
			continue
		}
		if homes := l.readIn(n); len(homes) == 1 || len(homes) > 1 && len(homes) <= mostHomes && slight(n) {
			l.part[n], l.homes[n] = true, homes
		}
	}
	return l
}

// mostHomes is in how many ops a node is computed anew.
const mostHomes = 8

// home is the node that stands for the op which n becomes part of as a root.
func (l *links) home(n *ir.Node) *ir.Node {
	if group := l.group[n]; group != nil {
		return group.roots[0]
	}
	return n
}

// readIn returns the ops that n is read in, none if it is read by something
// that it can't be a part of.
func (l *links) readIn(n *ir.Node) (homes []*ir.Node) {
	for _, r := range l.readers[n] {
		alike := slices.Equal(r.In[0].Type().Shape, n.Types[0].Shape)
		switch {
		case l.sums[r] && alike:
		case chainable(r) && slices.Equal(r.Types[0].Shape, n.Types[0].Shape):
		default:
			return nil
		}
		for _, h := range l.homes[r] {
			if !slices.Contains(homes, h) {
				homes = append(homes, h)
			}
		}
	}
	return homes
}

// slight reports whether n reads one tensor of its own shape and type, and
// numbers, and does so little with them that it costs no more than to read what
// it made.
func slight(n *ir.Node) bool {
	if !slices.Contains([]string{"add", "sub", "mul", "div", "neg", "abs", "max", "min"}, n.Op) {
		return false
	}
	whole := 0
	for _, v := range n.In {
		switch t := v.Type(); {
		case t.Equal(n.Types[0]):
			whole++
		case t.Len() != ir.D(1):
			return false
		}
	}
	return whole == 1 && n.Types[0].Len() != ir.D(1)
}

// addsUpAll reports whether n is the sum of all elements of a float tensor.
func addsUpAll(n *ir.Node) bool {
	a, ok := n.Attr.(op.ReduceAttr)
	return ok && n.Op == "reduce_sum" && n.Types[0].DType == ir.F32 && n.Types[0].Rank() == 0 && (a.Axes == "" || n.In[0].Type().Rank() == len(a.Axes.Slice()))
}

// groups joins the next values of states that read a tensor in common.
func (l *links) groups(g *ir.Graph) {
	next := map[*ir.Node]bool{}
	for _, s := range g.States {
		if n := s.Next.Node; n != nil && chainable(n) && n.Types[0].DType == ir.F32 && n.Types[0].Len() != ir.D(1) {
			next[n] = true
		}
	}
	by := map[ir.Value]*group{} // what reads a value
	for _, n := range g.Nodes {
		if !next[n] {
			continue
		}
		mine := &group{roots: []*ir.Node{n}}
		for _, v := range l.wholes(n, nil) {
			if other := by[v]; other != nil && other != mine && slices.Equal(other.roots[0].Types[0].Shape, n.Types[0].Shape) {
				mine.roots = append(mine.roots, other.roots...)
				for v, x := range by {
					if x == other {
						by[v] = mine
					}
				}
			}
			by[v] = mine
		}
	}
	for _, made := range by {
		slices.SortFunc(made.roots, func(a, b *ir.Node) int { return a.ID - b.ID })
		if len(made.roots) < 2 || !l.together(made) {
			continue
		}
		for _, n := range made.roots {
			l.group[n] = made
		}
	}
}

// wholes are the values of n's shape that n is made of, through elementwise
// nodes, n itself among them.
func (l *links) wholes(n *ir.Node, list []ir.Value) []ir.Value {
	list = append(list, ir.Value{Node: n})
	if !chainable(n) {
		return list
	}
	for _, v := range n.In {
		if slices.Equal(v.Type().Shape, n.Types[0].Shape) && !slices.Contains(list, v) {
			if v.Out > 0 || !chainable(v.Node) {
				list = append(list, v)
			} else {
				list = l.wholes(v.Node, list)
			}
		}
	}
	return list
}

// together reports whether the roots of a group can be computed at the place of
// the last: nothing that they read is made of one of them but by elementwise
// nodes that nothing else reads, and nothing else reads one of them before.
func (l *links) together(made *group) bool {
	first, last := made.roots[0], made.roots[len(made.roots)-1]
	inside := map[*ir.Node]bool{}
	for _, n := range made.roots {
		for _, v := range l.wholes(n, nil) {
			inside[v.Node] = chainable(v.Node)
		}
	}
	after := map[*ir.Node]bool{} // depends on a root by something that is not inside
	var depends func(n *ir.Node) bool
	depends = func(n *ir.Node) bool {
		if n.ID < first.ID {
			return false
		}
		if d, ok := after[n]; ok {
			return d
		}
		after[n] = slices.Contains(made.roots, n) || slices.ContainsFunc(n.In, func(v ir.Value) bool { return v.Valid() && depends(v.Node) })
		return after[n]
	}
	for n := range inside {
		if !inside[n] && depends(n) {
			return false
		}
		for _, v := range n.In {
			if v.Valid() && !inside[v.Node] && depends(v.Node) {
				return false
			}
		}
	}
	for n := range inside {
		root := slices.Contains(made.roots, n)
		for _, r := range l.readers[n] {
			if !inside[r] && (root && r.ID < last.ID || !root && inside[n] && depends(n)) {
				return false
			}
		}
	}
	return true
}
