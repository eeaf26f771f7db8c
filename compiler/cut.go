package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
)

// cut leaves of a model one of the two sides of a cut through its stack of layers:
// what comes before a layer, which may run on another device, or what comes after.
// What crosses is an output of the front and an input of the back, both of the name
// that plan.Crossing gives. What follows from inputs alone, as positions, or from
// weights alone, crosses never: each side that reads it computes it.
func cut(c *context, g *ir.Graph) (*ir.Graph, error) {
	e := c.opt.Entry
	if e.Side == plan.Whole {
		return g, nil
	}
	s, err := newSplit(g, e.Layers)
	if err != nil {
		return nil, err
	}
	crossing := s.crossing()
	roots := s.roots(e.Side)
	if e.Side == plan.Front {
		roots = append(roots, crossing...)
	}
	return s.side(e.Side, s.live(roots, e.Side), crossing), nil
}

// split says of each node on which side it is.
type split struct {
	g     *ir.Graph
	front []bool // by node: only the front computes it
	free  []bool // either side may: it depends on inputs alone, or on weights alone
}

// newSplit cuts in front of the layer after so many of the stack.
func newSplit(g *ir.Graph, layers int) (*split, error) {
	blocks := g.Blocks()
	if len(blocks) == 0 || layers > len(blocks) {
		return nil, fmt.Errorf("%d layers of a stack were to be cut off, and the model has %d", layers, len(blocks))
	}
	behind := map[string]bool{}
	for _, b := range blocks[layers:] {
		behind[b] = true
	}
	s := &split{g: g, front: make([]bool, len(g.Nodes)), free: free(g)}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		first := layers < len(blocks) && n.Pos.Block == blocks[layers]
		if s.front[i] = s.front[i] || n.Pos.Block != "" && !behind[n.Pos.Block]; !s.front[i] && !first {
			continue
		}
		for _, v := range n.In {
			switch {
			case !v.Valid() || s.free[v.Node.ID]:
			case !behind[v.Node.Pos.Block]:
				s.front[v.Node.ID] = true
			case s.front[i]:
				return nil, fmt.Errorf("%v: layer %s can't be cut off: it reads what %s makes", n.Pos, n.Pos.Block, v.Node.Pos.Block)
			}
		}
	}
	for i := range s.front {
		s.front[i] = s.front[i] && !s.free[i]
	}
	return s, nil
}

// free marks the nodes that depend on inputs alone, or on weights alone.
func free(g *ir.Graph) []bool {
	inputs, states := make([]bool, len(g.Nodes)), make([]bool, len(g.Nodes))
	cache := map[*ir.Node]bool{}
	for _, s := range g.States {
		cache[s.Read.Node] = s.Kind != ir.Weight
	}
	out := make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		inputs[i], states[i] = n.Op == ir.OpInput || cache[n], n.Op == ir.OpState
		for _, v := range n.In {
			if v.Valid() {
				inputs[i], states[i] = inputs[i] || inputs[v.Node.ID], states[i] || states[v.Node.ID]
			}
		}
		out[i] = !(inputs[i] && states[i]) || n.Op == ir.OpState
	}
	return out
}

// roots are the outputs and next states of a side.
func (s *split) roots(side plan.Side) (list []ir.Value) {
	for _, o := range s.g.Outputs {
		if s.of(o.Value) == side {
			list = append(list, o.Value)
		}
	}
	for _, st := range s.g.States {
		if st.Next.Valid() && s.of(st.Next) == side {
			list = append(list, st.Next, st.Read)
		}
	}
	return list
}

// of is the side that a value is made on.
func (s *split) of(v ir.Value) plan.Side {
	if s.front[v.Node.ID] {
		return plan.Front
	}
	return plan.Back
}

// live marks what a side must hold to give some values: the back takes what the
// front makes as inputs.
func (s *split) live(roots []ir.Value, side plan.Side) []bool {
	live := make([]bool, len(s.g.Nodes))
	for _, v := range roots {
		live[v.Node.ID] = true
	}
	for i := len(s.g.Nodes) - 1; i >= 0; i-- {
		for _, v := range s.g.Nodes[i].In {
			if live[i] && v.Valid() && (side == plan.Front || s.of(v) == plan.Back) {
				live[v.Node.ID] = true
			}
		}
	}
	return live
}

// crossing lists what the back reads of the front, in the order of the graph.
func (s *split) crossing() (list []ir.Value) {
	live := s.live(s.roots(plan.Back), plan.Back)
	for i, n := range s.g.Nodes {
		for _, v := range n.In {
			if live[i] && v.Valid() && s.of(v) == plan.Front && !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list
}

// side copies the live nodes. Inputs that nobody reads stay with the back.
func (s *split) side(side plan.Side, live []bool, crossing []ir.Value) *ir.Graph {
	out, at := &ir.Graph{}, map[ir.Value]ir.Value{}
	if side == plan.Back {
		for i, v := range crossing {
			at[v] = out.AddInput(plan.Crossing(i), v.Type(), v.Node.Pos)
		}
	}
	read := s.live(append(s.roots(plan.Front), crossing...), plan.Front)
	for i, n := range s.g.Nodes {
		if !live[i] && !(side == plan.Back && n.Op == ir.OpInput && !read[i]) {
			continue
		}
		m := *n
		m.In = make([]ir.Value, len(n.In))
		for k, v := range n.In {
			m.In[k] = at[v]
		}
		for k, v := range out.Add(&m) {
			at[ir.Value{Node: n, Out: k}] = v
		}
		if n.Op == ir.OpInput {
			out.Inputs = append(out.Inputs, ir.Value{Node: &m})
		}
	}
	for _, st := range s.g.States {
		if !live[st.Read.Node.ID] {
			continue
		}
		made := *st
		made.Read, made.Next = at[st.Read], ir.Value{}
		if st.Next.Valid() && s.of(st.Next) == side {
			made.Next = at[st.Next]
		}
		out.States = append(out.States, &made)
	}
	for _, o := range s.g.Outputs {
		if s.of(o.Value) == side {
			out.Outputs = append(out.Outputs, ir.Output{Name: o.Name, Value: at[o.Value]})
		}
	}
	if side == plan.Front {
		for i, v := range crossing {
			out.Outputs = append(out.Outputs, ir.Output{Name: plan.Crossing(i), Value: at[v]})
		}
	}
	return out
}
