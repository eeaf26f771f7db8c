package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// rewriter copies a graph node by node while a rule replaces some of them.
type rewriter struct {
	*op.Builder
	old  *ir.Graph
	at   [][]ir.Value // the new values of each old node
	uses [][]int      // of the old values of each node, by nodes, outputs and next states
}

// rule returns what stands for the outputs of old node n, whose new inputs are
// in; nil copies the node.
type rule func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value

// rewrite copies g under f. Nodes that nothing reads any more are left out;
// inputs stay, and states stay as long as something reads them.
func rewrite(t *op.Table, g *ir.Graph, f rule) (*ir.Graph, error) {
	r := &rewriter{Builder: op.NewBuilder(t), old: g, at: make([][]ir.Value, len(g.Nodes)), uses: countUses(g)}
	r.Graph.Nodes = make([]*ir.Node, 0, len(g.Nodes))
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
				in[i] = r.now(v)
			}
			if out = f(r, n, in); out == nil {
				out = r.Apply(n.Op, n.Attr, in...)
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
		r.at[n.ID] = out
	}
	return r.finish(), nil
}

// finish maps outputs and states and drops what is dead.
func (r *rewriter) finish() *ir.Graph {
	for _, o := range r.old.Outputs {
		r.Graph.Outputs = append(r.Graph.Outputs, ir.Output{Name: o.Name, Value: r.now(o.Value)})
	}
	made := map[ir.Value]*ir.State{}
	for _, s := range r.Graph.States {
		made[s.Read] = s
	}
	for _, s := range r.old.States {
		if s.Next.Valid() {
			made[r.now(s.Read)].Next = r.now(s.Next)
		}
	}
	return prune(r.Graph)
}

// now returns what stands for an old value in the new graph.
func (r *rewriter) now(v ir.Value) ir.Value {
	if !v.Valid() {
		return v
	}
	return r.at[v.Node.ID][v.Out]
}

// nows is now for several values.
func (r *rewriter) nows(vs []ir.Value) []ir.Value {
	out := make([]ir.Value, len(vs))
	for i, v := range vs {
		out[i] = r.now(v)
	}
	return out
}

// reads counts who reads old value v.
func (r *rewriter) reads(v ir.Value) int { return r.uses[v.Node.ID][v.Out] }

// single reports whether old value v is read exactly once.
func (r *rewriter) single(v ir.Value) bool { return r.reads(v) == 1 }

func countUses(g *ir.Graph) [][]int {
	uses := make([][]int, len(g.Nodes))
	all := make([]int, 0, len(g.Nodes))
	for i, n := range g.Nodes {
		all = append(all, make([]int, len(n.Types))...)
		uses[i] = all[len(all)-len(n.Types):]
	}
	count := func(v ir.Value) {
		if v.Valid() {
			uses[v.Node.ID][v.Out]++
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			count(v)
		}
	}
	for _, o := range g.Outputs {
		count(o.Value)
	}
	for _, s := range g.States {
		count(s.Next)
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
		if mark(s.Next); s.Next.Valid() {
			mark(s.Read) // though nobody reads what it was
		}
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
