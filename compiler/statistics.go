package compiler

import "pipe.dev/compiler/ir"

// statistics has ops learn that keep statistics of the data: in a program that makes gradients norms take
// mean and variance of the batch, and the running ones become states that take on a share of these, layer
// after layer where several share them; tables of codes move to what they stand for. Statistics that a
// training leaves as they are, and those of a model with an adapter, are read from the checkpoint in
// training, too.
func statistics(c *context, g *ir.Graph) (*ir.Graph, error) {
	t := c.opt.Training
	if t == nil || t.Adapter != nil && t.Learns == nil {
		return g, nil
	}
	paths := map[*ir.Node]string{}
	for _, s := range g.States {
		if s.Statistic && (t.Learns == nil || t.Learns(s.Path)) {
			paths[s.Read.Node] = s.Path
			s.Changes = true
		}
	}
	if t.Phase != Step && t.Phase != Accumulate {
		return g, nil
	}
	next := map[string]ir.Value{} // of the new graph
	out, err := rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		d, ok := c.table.Lookup(n.Op)
		if !ok || d.Training == "" {
			return nil
		}
		learns, ok := c.table.Lookup(d.Training)
		if !ok {
			return nil
		}
		plain, k := len(n.Types), len(n.In)
		first := k - (len(learns.Outputs) - plain) // of the statistics among the inputs
		for i := first; i < k; i++ {
			if paths[n.In[i].Node] == "" {
				return nil
			}
			if v, ok := next[paths[n.In[i].Node]]; ok {
				in[i] = v
			}
		}
		made := r.Apply(d.Training, n.Attr, in...)
		if r.Err() != nil {
			return made
		}
		for i := first; i < k; i++ {
			next[paths[n.In[i].Node]] = made[plain+i-first]
		}
		return made[:plain]
	})
	if err != nil {
		return nil, err
	}
	for _, s := range out.States {
		if v, ok := next[s.Path]; ok && v.Node.ID < len(out.Nodes) && out.Nodes[v.Node.ID] == v.Node { // somebody reads what the op gives
			s.Next = v
		}
	}
	return out, nil
}
