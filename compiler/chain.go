package compiler

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// elementwise reports whether an op may stand in an expression of the op
// "elementwise".
func elementwise(name string) bool {
	return slices.Contains(op.ElementwiseOps(1), name) || slices.Contains(op.ElementwiseOps(2), name)
}

// chain makes one op of elementwise ops that follow one another, so that what
// lies between them never goes to memory; of those that make the next values of
// states from the same tensors, as the step of an optimizer does, one op with
// several results; and of those that are added up in the end, one sum. Narrow
// types are computed in f32 and rounded where they were, so that the bits stay;
// a widened value is read as it lies.
func chain(c *context, g *ir.Graph) (*ir.Graph, error) {
	links := link(g)
	made := map[*ir.Node]*expression{} // by the last of the nodes that it stands for
	for _, n := range g.Nodes {
		if e := links.expression(c, n); e != nil {
			made[e.roots[len(e.roots)-1]] = e
		}
	}
	gone := map[*ir.Node]bool{} // into an expression that ends at another node
	for _, e := range made {
		for _, n := range e.roots {
			gone[n] = true
		}
	}
	for n := range links.part {
		gone[n] = !slices.ContainsFunc(links.homes[n], func(home *ir.Node) bool { return !gone[home] })
	}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
		if gone[n] && made[n] == nil {
			return []ir.Value{{}}
		}
		e := made[n]
		if e == nil {
			return nil
		}
		out := r.Apply(e.op, e.attr, r.nows(e.leaves)...)
		for i, n := range e.roots {
			r.at[n.ID] = out[i : i+1]
		}
		return out[len(out)-1:]
	})
}

// chainable reports whether n is elementwise over inputs that the op
// "elementwise" can read: of n's shape, of its last axes, or of one element.
func chainable(n *ir.Node) bool {
	if !elementwise(n.Op) && n.Op != "cast" || !inExpression(n.Types[0].DType) {
		return false
	}
	shape := n.Types[0].Shape
	for _, v := range n.In {
		t := v.Type()
		suffix := t.Rank() <= len(shape) && slices.Equal(t.Shape, shape[len(shape)-t.Rank():])
		if !inExpression(t.DType) || !suffix && t.Len() != ir.D(1) {
			return false
		}
	}
	return true
}

// inExpression reports whether the op "elementwise" has values of type t.
func inExpression(t ir.DType) bool { return t == ir.F32 || narrowType(t) }

func narrowType(t ir.DType) bool { return t == ir.BF16 || t == ir.F16 }

// expression collects a chain in reverse Polish notation.
type expression struct {
	l      *links
	op     string
	attr   op.ElementwiseAttr
	roots  []*ir.Node // what it stands for, in order
	words  []string
	leaves []ir.Value
	uses   map[*ir.Node]int    // of what is part of it, within it
	names  map[*ir.Node]string // of values that have one
	nodes  int                 // that it stands for
	ops    int                 // of these, all but casts

	widened bool // a leaf is read in the narrow type that it lies in
}

// expression returns that of n, if n is the last of its roots and a kernel
// computes more in it than n alone.
func (l *links) expression(c *context, n *ir.Node) *expression {
	e := &expression{l: l, op: "elementwise", roots: []*ir.Node{n}, uses: map[*ir.Node]int{}, names: map[*ir.Node]string{}}
	switch {
	case l.sums[n]:
		return e.sum(c)
	case !chainable(n) || l.part[n]:
		return nil
	case l.group[n] != nil:
		if e.roots = l.group[n].roots; n != e.roots[len(e.roots)-1] {
			return nil
		}
	}
	for _, root := range e.roots {
		e.count(root)
	}
	for i, root := range e.roots {
		e.statement(root)
		if len(e.roots) > 1 {
			e.name(root, fmt.Sprintf("y%d", i))
		}
	}
	if e.ops == 0 || e.nodes < 2 && !e.widened {
		return nil
	}
	to := n.Types[0].DType.String()
	if last := len(e.words) - 1; e.words[last] == to { // as it is stored
		e.words = e.words[:last]
	}
	if n.Types[0].DType != e.leaves[0].Type().DType {
		e.attr.DType = to
	}
	return e.checked(c)
}

// sum is the expression of what a node adds up.
func (e *expression) sum(c *context) *expression {
	n := e.roots[0]
	e.op = "elementwise_sum"
	if x := n.In[0]; e.l.part[x.Node] {
		e.count(x.Node)
		e.statement(x.Node)
	} else {
		e.value(x)
	}
	if n.Types[0].DType != e.leaves[0].Type().DType {
		e.attr.DType = n.Types[0].DType.String()
	}
	return e.checked(c)
}

// checked is e if there is a kernel for it, else nil.
func (e *expression) checked(c *context) *expression {
	e.attr.Expr = strings.Join(e.words, " ")
	var types []ir.Type
	for _, n := range e.roots {
		types = append(types, n.Types[0])
	}
	if _, ok := c.opt.Target.Kernel(e.op, e.attr, ir.TypesOf(e.leaves), types); !ok {
		return nil
	}
	return e
}

// count finds how often what is part of e is read within it.
func (e *expression) count(n *ir.Node) {
	for _, x := range n.In {
		if e.inside(x.Node) {
			if e.uses[x.Node]++; e.uses[x.Node] == 1 && !slices.Contains(e.roots, x.Node) {
				e.count(x.Node)
			}
		}
	}
}

// inside reports whether n is written as a part of e, or as one of its roots.
func (e *expression) inside(n *ir.Node) bool {
	return e.l.part[n] || len(e.roots) > 1 && slices.Contains(e.roots, n)
}

// statement writes n, after a statement for each value in it that is read
// several times, which gets a name.
func (e *expression) statement(n *ir.Node) {
	for _, x := range n.In {
		e.define(x.Node)
	}
	e.write(n)
}

func (e *expression) define(n *ir.Node) {
	if e.names[n] != "" || !e.inside(n) || slices.Contains(e.roots, n) {
		return
	}
	for _, x := range n.In {
		e.define(x.Node)
	}
	if e.uses[n] > 1 {
		e.write(n)
		e.name(n, fmt.Sprintf("t%d", len(e.names)))
	}
}

// name calls the last value, that of n.
func (e *expression) name(n *ir.Node, name string) {
	e.words, e.names[n] = append(e.words, "="+name), name
}

// write appends n and what is part of it.
func (e *expression) write(n *ir.Node) {
	for _, x := range n.In {
		e.value(x)
	}
	e.nodes++
	if n.Op != "cast" {
		e.words = append(e.words, n.Op)
		e.ops++
	}
	if t := n.Types[0].DType; narrowType(t) {
		e.words = append(e.words, t.String())
	}
}

// value appends an operand.
func (e *expression) value(x ir.Value) {
	switch name := e.names[x.Node]; {
	case name != "":
		e.words = append(e.words, name)
	case e.l.part[x.Node]:
		e.write(x.Node)
	case x.Node.Op == "cast" && x.Type().DType == ir.F32 && narrowType(x.Node.In[0].Type().DType) && !e.l.part[x.Node.In[0].Node]:
		e.leaf(x.Node.In[0])
		e.widened = true
	default:
		e.leaf(x)
	}
}

func (e *expression) leaf(v ir.Value) {
	i := slices.Index(e.leaves, v)
	if i < 0 {
		i = len(e.leaves)
		e.leaves = append(e.leaves, v)
	}
	e.words = append(e.words, fmt.Sprintf("x%d", i))
}
