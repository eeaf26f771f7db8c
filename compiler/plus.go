package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// plus makes one op of an addition and of the product, convolution or gradient of a
// norm that makes one of its operands, where the target has a kernel that adds the
// other to what it has computed. So a residual, and gradients that meet, are neither
// written nor read once more. Both are rounded to their type before they are added,
// as they are apart: bits stay.
func plus(c *context, g *ir.Graph) (*ir.Graph, error) {
	f := &meetings{c: c, uses: countUses(g), by: map[*ir.Node]*meeting{}}
	for _, n := range g.Nodes {
		if n.Op == "add" {
			f.find(n)
		}
	}
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		m := f.by[n]
		switch {
		case m == nil:
			return nil
		case n != m.at: // the addition, of which all is done
			return in[m.side : m.side+1]
		}
		r.Pos = m.made.Pos
		z := r.shaped(r.now(m.z), m.made.Types[0].Shape)
		out := r.Apply(m.made.Op+op.Plus, m.made.Attr, append([]ir.Value{z}, r.nows(m.made.In)...)...)
		if n == m.made || r.Err() != nil {
			return out
		}
		return []ir.Value{r.shaped(out[0], n.Types[0].Shape)}
	})
}

// shaped is v under another shape.
func (r *rewriter) shaped(v ir.Value, shape []ir.Dim) ir.Value {
	if r.Err() != nil || slices.Equal(v.Type().Shape, shape) {
		return v
	}
	return r.Reshape(v, shape...)
}

// meeting is an addition to what a node makes: its operand on a side is that, under
// any shape, the other is z.
type meeting struct {
	made *ir.Node
	side int
	z    ir.Value
	at   *ir.Node // in whose place the sum is made
}

// meetings finds them.
type meetings struct {
	c    *context
	uses [][]int
	by   map[*ir.Node]*meeting
}

// find looks whether either operand of an addition can be made with it, first at
// what comes later.
func (f *meetings) find(add *ir.Node) {
	first := 0
	if f.maker(add.In[1]).Node.ID > f.maker(add.In[0]).Node.ID {
		first = 1
	}
	for _, side := range []int{first, 1 - first} {
		made := f.maker(add.In[side])
		m := &meeting{made: made.Node, side: side, z: add.In[1-side], at: add}
		if made.Out > 0 || !add.In[side].Type().Equal(add.Types[0]) || !m.z.Type().Equal(add.Types[0]) || !f.fits(m) {
			continue
		}
		if m.z.Node.ID < m.made.ID { // as soon as may be, so that what it is made of need not wait
			m.at = m.made
			f.by[m.made] = m
		}
		f.by[add] = m
		return
	}
}

// maker is the value that v is under another shape, which nothing else reads.
func (f *meetings) maker(v ir.Value) ir.Value {
	for f.c.isView(v.Node) && f.uses[v.Node.ID][v.Out] == 1 {
		v = v.Node.In[0]
	}
	return v
}

// fits reports whether nothing but the addition reads the first result of what is
// made, z is there, and is no part of a chain that the addition would be of, too, and
// the target has a kernel.
func (f *meetings) fits(m *meeting) bool {
	n, z := m.made, m.z.Node
	if _, ok := f.c.table.Lookup(n.Op + op.Plus); !ok || f.uses[n.ID][0] != 1 || f.by[n] != nil {
		return false
	}
	if len(n.Types) > 1 && z.ID >= n.ID || chainable(z) && f.uses[z.ID][m.z.Out] == 1 && f.by[z] == nil {
		return false
	}
	in := append([]ir.Type{n.Types[0]}, ir.TypesOf(n.In)...)
	_, ok := f.c.opt.Target.Kernel(n.Op+op.Plus, n.Attr, in, n.Types)
	return ok
}
