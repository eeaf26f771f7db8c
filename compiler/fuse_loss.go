package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// fuseLoss: cross_entropy(linear(x)) -> linear_cross_entropy, so that the
// logits of all rows need not be in memory, where nothing else reads them.
func fuseLoss(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
	if n.Op != "cross_entropy" {
		return nil
	}
	logits := n.In[0]
	if wide := r.from(logits, "cast"); wide != nil {
		logits = wide.In[0]
	}
	l := r.from(logits, "linear")
	if l == nil {
		return nil
	}
	a, at := l.Attr.(op.LinearAttr), n.Attr.(op.CrossEntropyAttr)
	if a.Bias || a.Act != "" {
		return nil
	}
	at.Transpose, at.TF32 = a.Transpose, a.TF32
	return r.Apply("linear_cross_entropy", at, r.now(l.In[0]), r.now(l.In[1]), in[1])
}

// joinLosses lets the gradient of a loss give the loss, too, so that logits are
// computed once, and leaves out the gradient of a weight that nobody reads.
func joinLosses(g *ir.Graph) *ir.Graph {
	instead := map[ir.Value]ir.Value{}
	for _, n := range g.Nodes {
		if n.Op != "linear_cross_entropy_grad" {
			continue
		}
		for _, l := range g.Nodes {
			if l.Op == "linear_cross_entropy" && l.Attr == n.Attr && slices.Equal(l.In, n.In[:3]) && !dependsOn(n.In[3].Node, l, map[*ir.Node]bool{}) {
				instead[ir.Value{Node: l}] = ir.Value{Node: n}
			}
		}
	}
	replace(g, instead)
	uses := countUses(g)
	for _, n := range g.Nodes {
		if n.Op == "linear_cross_entropy_grad" && uses[n.ID][2] == 0 {
			at := n.Attr.(op.CrossEntropyAttr)
			at.Frozen = true
			n.Attr, n.Types = at, n.Types[:2]
		}
	}
	return g
}

// dependsOn reports whether n needs the node on; seen holds those that do not.
func dependsOn(n, on *ir.Node, seen map[*ir.Node]bool) bool {
	if n == on || seen[n] {
		return n == on
	}
	seen[n] = true
	return slices.ContainsFunc(n.In, func(v ir.Value) bool { return v.Valid() && dependsOn(v.Node, on, seen) })
}

// replace lets everything that reads a key of instead read its value, and
// orders the nodes so that what is read comes first.
func replace(g *ir.Graph, instead map[ir.Value]ir.Value) {
	if len(instead) == 0 {
		return
	}
	swap := func(v *ir.Value) {
		if to, ok := instead[*v]; ok {
			*v = to
		}
	}
	for _, n := range g.Nodes {
		for i := range n.In {
			swap(&n.In[i])
		}
	}
	for i := range g.Outputs {
		swap(&g.Outputs[i].Value)
	}
	for _, s := range g.States {
		swap(&s.Next)
	}
	ordered, done := make([]*ir.Node, 0, len(g.Nodes)), map[*ir.Node]bool{}
	var visit func(n *ir.Node)
	visit = func(n *ir.Node) {
		if done[n] {
			return
		}
		done[n] = true
		for _, v := range n.In {
			if v.Valid() {
				visit(v.Node)
			}
		}
		n.ID = len(ordered)
		ordered = append(ordered, n)
	}
	for _, n := range g.Nodes {
		visit(n)
	}
	g.Nodes = ordered
}
