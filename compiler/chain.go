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
// lies between them never goes to memory.
func chain(c *context, g *ir.Graph) (*ir.Graph, error) {
	inner := inChain(g)
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, _ []ir.Value) []ir.Value {
		if !chainable(n) || inner[n] {
			return nil
		}
		e := expression{r: r, inner: inner}
		e.write(n)
		if e.ops < 2 {
			return nil
		}
		attr := op.ElementwiseAttr{Expr: strings.Join(e.words, " ")}
		if _, ok := c.opt.Target.Kernel("elementwise", attr, typesOf(e.leaves), n.Types); !ok {
			return nil
		}
		return r.Apply("elementwise", attr, e.leaves...)
	})
}

// chainable reports whether n is elementwise over inputs that the op
// "elementwise" can read: of n's shape, of its last axes, or of one element.
func chainable(n *ir.Node) bool {
	if !elementwise(n.Op) || n.Types[0].DType != ir.F32 {
		return false
	}
	shape := n.Types[0].Shape
	for _, v := range n.In {
		t := v.Type()
		suffix := t.Rank() <= len(shape) && slices.Equal(t.Shape, shape[len(shape)-t.Rank():])
		if t.DType != ir.F32 || !suffix && t.Len() != ir.D(1) {
			return false
		}
	}
	return true
}

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
	ops    int
}

// write appends n and what is part of it.
func (e *expression) write(n *ir.Node) {
	for _, x := range n.In {
		if e.inner[x.Node] {
			e.write(x.Node)
		} else {
			e.leaf(e.r.now(x))
		}
	}
	e.words = append(e.words, n.Op)
	e.ops++
}

func (e *expression) leaf(v ir.Value) {
	i := slices.Index(e.leaves, v)
	if i < 0 {
		i = len(e.leaves)
		e.leaves = append(e.leaves, v)
	}
	e.words = append(e.words, fmt.Sprintf("x%d", i))
}
