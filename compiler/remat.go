package compiler

import (
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
)

// AllBlocks as Training.Recompute means every block.
const AllBlocks = -1

// remat lets the backward pass compute anew what the forward pass computed
// inside the first blocks of a model, from what enters each block, so that
// these values need no memory in between. A block is a layer of a stack. The
// same kernels read the same numbers, so every result keeps its bits.
// Source: arXiv:1604.06174.
//
// It runs when sizes are known and ops will change no more, since equal nodes
// must not become one again.
func remat(c *context, g *ir.Graph) (*ir.Graph, error) {
	r := &rematerializer{g: g, out: &ir.Graph{}, forward: forwardNodes(g), chosen: map[string]bool{}}
	blocks := r.blocks()
	if n := c.recompute; n != AllBlocks {
		blocks = blocks[:min(n, len(blocks))]
	}
	if len(blocks) == 0 {
		return g, nil
	}
	for _, b := range blocks {
		r.chosen[b] = true
	}
	r.keep()
	r.copy()
	for _, n := range r.clones {
		c.again.FLOPs += c.table.FLOPs(n)
	}
	c.again.Blocks, c.waits = blocks, r.waits
	return r.out, nil
}

type rematerializer struct {
	g, out  *ir.Graph
	forward []bool          // by node: the loss depends on it
	chosen  map[string]bool // blocks to compute anew
	kept    map[ir.Value]bool
	at      []*ir.Node            // the copy of each node
	cloned  map[*ir.Node]*ir.Node // what computes an old node anew
	clones  []*ir.Node
	waits   map[*ir.Node][]*ir.Node // what must come before a clone, so that it comes late
}

// forwardNodes marks what the loss and the count of a training phase depend on.
func forwardNodes(g *ir.Graph) []bool {
	marked := make([]bool, len(g.Nodes))
	for _, o := range g.Outputs {
		if o.Name == "loss" || o.Name == "count" || strings.HasPrefix(o.Name, "loss/") {
			marked[o.Value.Node.ID] = true
		}
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		for _, v := range g.Nodes[i].In {
			if v.Valid() && marked[i] {
				marked[v.Node.ID] = true
			}
		}
	}
	return marked
}

// blocks lists the blocks of forward nodes that have a backward pass, in the
// order of the forward pass.
func (r *rematerializer) blocks() []string {
	backward := map[string]bool{}
	for i, n := range r.g.Nodes {
		if !r.forward[i] {
			backward[n.Pos.Block] = true
		}
	}
	var list []string
	for i, n := range r.g.Nodes {
		if b := n.Pos.Block; r.forward[i] && b != "" && backward[b] && !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	return list
}

// inside reports whether a node is computed in the forward pass of a chosen
// block.
func (r *rematerializer) inside(n *ir.Node) bool {
	return r.forward[n.ID] && n.Op != ir.OpInput && n.Op != ir.OpState && r.chosen[n.Pos.Block]
}

// keep finds the values of chosen blocks that stay: those that another block,
// or what is in no block, reads, forward or backward.
func (r *rematerializer) keep() {
	r.kept = map[ir.Value]bool{}
	for _, n := range r.g.Nodes {
		for _, v := range n.In {
			if v.Valid() && r.inside(v.Node) && v.Node.Pos.Block != n.Pos.Block {
				r.kept[v] = true
			}
		}
	}
	for _, o := range r.g.Outputs {
		r.kept[o.Value] = true
	}
	for _, s := range r.g.States {
		r.kept[s.Next] = true
	}
}

// copy writes the graph, with clones before the backward nodes that read them.
func (r *rematerializer) copy() {
	r.at = make([]*ir.Node, len(r.g.Nodes))
	r.cloned, r.waits = map[*ir.Node]*ir.Node{}, map[*ir.Node][]*ir.Node{}
	last := r.lastReaders()
	for i, n := range r.g.Nodes {
		m := *n
		m.In = make([]ir.Value, len(n.In))
		first := len(r.clones)
		for k, v := range n.In {
			m.In[k] = r.value(v, !r.forward[i])
		}
		r.late(r.clones[first:], i, last)
		r.out.Add(&m)
		r.at[i] = &m
	}
	now := func(v ir.Value) ir.Value { return r.value(v, false) }
	for _, v := range r.g.Inputs {
		r.out.Inputs = append(r.out.Inputs, now(v))
	}
	for _, s := range r.g.States {
		made := *s
		made.Read, made.Next = now(s.Read), now(s.Next)
		r.out.States = append(r.out.States, &made)
	}
	for _, o := range r.g.Outputs {
		r.out.Outputs = append(r.out.Outputs, ir.Output{Name: o.Name, Value: now(o.Value)})
	}
}

// value is what a copied node reads for v: a clone if it may not be kept.
func (r *rematerializer) value(v ir.Value, backward bool) ir.Value {
	switch {
	case !v.Valid():
		return v
	case !backward || !r.inside(v.Node) || r.kept[v]:
		return ir.Value{Node: r.at[v.Node.ID], Out: v.Out}
	}
	return ir.Value{Node: r.clone(v.Node), Out: v.Out}
}

// clone computes n anew, and what it needs of its block.
func (r *rematerializer) clone(n *ir.Node) *ir.Node {
	if m, ok := r.cloned[n]; ok {
		return m
	}
	m := *n
	m.In = make([]ir.Value, len(n.In))
	for k, v := range n.In {
		m.In[k] = r.value(v, true)
	}
	r.out.Add(&m)
	r.cloned[n] = &m
	r.clones = append(r.clones, &m)
	return &m
}

// lastReaders gives the last node that reads a value of each node.
func (r *rematerializer) lastReaders() []int {
	last := make([]int, len(r.g.Nodes))
	for i, n := range r.g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				last[v.Node.ID] = i
			}
		}
	}
	return last
}

// late makes new clones wait for the gradients that are there when node i of
// the old graph, which is the first to read them, runs.
func (r *rematerializer) late(clones []*ir.Node, i int, last []int) {
	if len(clones) == 0 {
		return
	}
	var there []*ir.Node
	for k := range i {
		if !r.forward[k] && last[k] >= i {
			there = append(there, r.at[k])
		}
	}
	for _, n := range clones {
		r.waits[n] = there
	}
}
