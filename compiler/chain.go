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
// lies between them never goes to memory. Narrow types are computed in f32 and
// rounded where they were, so that the bits stay; a widened value is read as it
// lies.
func chain(c *context, g *ir.Graph) (*ir.Graph, error) {
	inner := inChain(g)
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
		if !chainable(n) || inner[n] {
			return nil
		}
		e := expression{r: r, inner: inner}
		e.write(n)
		if e.ops == 0 || e.nodes < 2 && !e.widened {
			return nil
		}
		to := n.Types[0].DType.String()
		if e.words[len(e.words)-1] == to { // as it is stored
			e.words = e.words[:len(e.words)-1]
		}
		attr := op.ElementwiseAttr{Expr: strings.Join(e.words, " ")}
		if n.Types[0].DType != e.leaves[0].Type().DType {
			attr.DType = to
		}
		if _, ok := c.opt.Target.Kernel("elementwise", attr, typesOf(e.leaves), n.Types); !ok {
			return nil
		}
		return r.Apply("elementwise", attr, e.leaves...)
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

// inChain finds the nodes that one other node of their shape reads, and both
// are chainable: they become part of that node.
func inChain(g *ir.Graph) map[*ir.Node]bool {
	uses := countUses(g)
	inner := map[*ir.Node]bool{}
	for _, n := range g.Nodes {
		if !chainable(n) {
			continue
		}
		for _, v := range n.In {
			if chainable(v.Node) && uses[v.Node.ID][v.Out] == 1 && slices.Equal(v.Type().Shape, n.Types[0].Shape) {
				inner[v.Node] = true
			}
		}
	}
	return inner
}

// expression collects a chain in reverse Polish notation.
type expression struct {
	r      *rewriter
	inner  map[*ir.Node]bool
	words  []string
	leaves []ir.Value // in the new graph
	nodes  int        // that it stands for
	ops    int        // of these, all but casts

	widened bool // a leaf is read in the narrow type that it lies in
}

// write appends n and what is part of it.
func (e *expression) write(n *ir.Node) {
	for _, x := range n.In {
		switch {
		case e.inner[x.Node]:
			e.write(x.Node)
		case x.Node.Op == "cast" && x.Type().DType == ir.F32 && narrowType(x.Node.In[0].Type().DType):
			e.leaf(e.r.now(x.Node.In[0]))
			e.widened = true
		default:
			e.leaf(e.r.now(x))
		}
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

func (e *expression) leaf(v ir.Value) {
	i := slices.Index(e.leaves, v)
	if i < 0 {
		i = len(e.leaves)
		e.leaves = append(e.leaves, v)
	}
	e.words = append(e.words, fmt.Sprintf("x%d", i))
}
