package compiler

import "pipe.dev/compiler/ir"

// statistics has norms over the batch learn: in a program that makes gradients they take mean and
// variance of the batch, and the running ones become states that take on a share of these, layer
// after layer where several share them. Statistics that a training leaves as they are, and those of a model
// with an adapter, are read from the checkpoint in training, too.
func statistics(c *context, g *ir.Graph) (*ir.Graph, error) {
	t := c.opt.Training
	if t == nil || t.Adapter != nil {
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
		k := len(n.In)
		if n.Op != "batch_norm" || paths[n.In[k-2].Node] == "" || paths[n.In[k-1].Node] == "" {
			return nil
		}
		for i := k - 2; i < k; i++ {
			if v, ok := next[paths[n.In[i].Node]]; ok {
				in[i] = v
			}
		}
		made := r.Apply("batch_norm_train", n.Attr, in...)
		if r.Err() != nil {
			return made
		}
		for i := k - 2; i < k; i++ {
			next[paths[n.In[i].Node]] = made[1+i-(k-2)]
		}
		return made[:1]
	})
	if err != nil {
		return nil, err
	}
	for _, s := range out.States {
		if v, ok := next[s.Path]; ok && v.Node.ID < len(out.Nodes) && out.Nodes[v.Node.ID] == v.Node { // somebody reads the norm
			s.Next = v
		}
	}
	return out, nil
}
