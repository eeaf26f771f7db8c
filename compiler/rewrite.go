package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// rewriter copies a graph node by node while a rule replaces some of them.
type rewriter struct {
	*op.Builder
	old  *ir.Graph
	at   map[ir.Value]ir.Value // from old to new
	uses map[ir.Value]int      // of old values, by nodes, outputs and next states
}

// rule returns what stands for the outputs of old node n, whose new inputs are
// in; nil copies the node.
type rule func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value

// rewrite copies g under f. Nodes that nothing reads any more are left out;
// inputs stay, and states stay as long as something reads them.
func rewrite(t *op.Table, g *ir.Graph, f rule) (*ir.Graph, error) {
	r := &rewriter{Builder: op.NewBuilder(t), old: g, at: map[ir.Value]ir.Value{}, uses: countUses(g)}
	states := map[*ir.Node]*ir.State{}
	for _, s := range g.States {
		states[s.Read.Node] = s
	}
	for _, n := range g.Nodes {
		r.Pos = n.Pos
		var out []ir.Value
		switch n.Op {
		case ir.OpInput:
			out = []ir.Value{r.Graph.AddInput(n.InputName(), n.Types[0], n.Pos)}
		case ir.OpState:
			s := *states[n]
			s.Next = ir.Value{}
			out = []ir.Value{r.Graph.AddState(s, n.Types[0]).Read}
		default:
			in := make([]ir.Value, len(n.In))
			for i, v := range n.In {
				in[i] = r.at[v]
			}
			if out = f(r, n, in); out == nil {
				out = r.Apply(n.Op, n.Attr, in...)
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
		for i, v := range out {
			r.at[ir.Value{Node: n, Out: i}] = v
		}
	}
	return r.finish(), nil
}

// finish maps outputs and states and drops what is dead.
func (r *rewriter) finish() *ir.Graph {
	for _, o := range r.old.Outputs {
		r.Graph.Outputs = append(r.Graph.Outputs, ir.Output{Name: o.Name, Value: r.at[o.Value]})
	}
	made := map[ir.Value]*ir.State{}
	for _, s := range r.Graph.States {
		made[s.Read] = s
	}
	for _, s := range r.old.States {
		if s.Next.Valid() {
			made[r.at[s.Read]].Next = r.at[s.Next]
		}
	}
	return prune(r.Graph)
}

// single reports whether old value v is read exactly once.
func (r *rewriter) single(v ir.Value) bool { return r.uses[v] == 1 }

func countUses(g *ir.Graph) map[ir.Value]int {
	uses := map[ir.Value]int{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.Valid() {
				uses[v]++
			}
		}
	}
	for _, o := range g.Outputs {
		uses[o.Value]++
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			uses[s.Next]++
		}
	}
	return uses
}

// prune removes nodes that no output and no next state depends on, and
// numbers the rest. It takes the graph over: nodes are renumbered in place.
func prune(g *ir.Graph) *ir.Graph {
	live := make([]bool, len(g.Nodes))
	mark := func(v ir.Value) {
		if v.Valid() {
			live[v.Node.ID] = true
		}
	}
	for _, v := range g.Inputs {
		mark(v)
	}
	for _, o := range g.Outputs {
		mark(o.Value)
	}
	for _, s := range g.States {
		mark(s.Next)
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if live[i] {
			for _, v := range g.Nodes[i].In {
				mark(v)
			}
		}
	}
	out := &ir.Graph{Inputs: g.Inputs, Outputs: g.Outputs}
	for _, s := range g.States {
		if live[s.Read.Node.ID] {
			out.States = append(out.States, s)
		}
	}
	for i, n := range g.Nodes {
		if live[i] {
			n.ID = len(out.Nodes)
			out.Nodes = append(out.Nodes, n)
		}
	}
	return out
}
