package compiler

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// precision lets a model compute in the narrow type of its training, bf16 or
// f16: its activations are in that type from the first op on.
// Weights that change stay f32 and are cast where they are used; ops that
// compute wider inside, as norms and softmax, still do; the objective casts
// the model's output to f32. Tables of positions, and what is made of weights
// alone, stay as they are until they meet activations.
//
// So may a program that does not learn, whose weights are in that type already (Options.Weight): what only
// its outputs read is computed in f32, and outputs and states have the types that they had. Angles are f32 in any case.
//
// Where products of f32 may be rounded to tf32, those of the model may.
func precision(c *context, g *ir.Graph) (*ir.Graph, error) {
	if c.opt.TF32 {
		allowTF32(g)
		if c.base != nil {
			allowTF32(c.base)
		}
	}
	t := c.opt.Training
	if t == nil && narrowType(c.opt.Precision) {
		return narrowed(c, g)
	}
	if t == nil || !t.narrow() || !t.Phase.computes() {
		return g, nil
	}
	narrow := func(g *ir.Graph) (*ir.Graph, error) {
		p := &narrower{table: c.table, to: t.Precision, flows: activations(g), wide: wideNodes(c.table, g, false)}
		return rewrite(c.table, g, p.node)
	}
	var err error
	if c.base != nil { // a reference model computes alike
		if c.base, err = narrow(c.base); err != nil {
			return nil, err
		}
	}
	return narrow(g)
}

// allowTF32 gives the ops of g the permission; the bodies of scans stay exact.
func allowTF32(g *ir.Graph) {
	for _, n := range g.Nodes {
		n.Attr = op.AllowTF32(n.Attr, ir.TypesOf(n.In))
	}
}

// narrow reports whether activations are narrower than f32.
func (t *Training) narrow() bool { return narrowType(t.Precision) }

// narrowed is a program without training that computes in Options.Precision.
func narrowed(c *context, g *ir.Graph) (*ir.Graph, error) {
	p := &narrower{table: c.table, to: c.opt.Precision, flows: activations(g), wide: wideNodes(c.table, g, true)}
	for i, n := range g.Nodes {
		if n.Op == "cache_append" { // it has the type of the cache
			p.flows[i] = false
		}
	}
	out, err := rewrite(c.table, g, p.node)
	if err != nil {
		return nil, err
	}
	b := op.NewBuilder(c.table)
	b.Graph = out
	for i, o := range out.Outputs {
		b.Pos = o.Value.Node.Pos
		out.Outputs[i].Value = b.Cast(o.Value, g.Outputs[i].Value.Type().DType)
	}
	for _, s := range out.States {
		if s.Next.Valid() {
			b.Pos = s.Next.Node.Pos
			s.Next = b.Cast(s.Next, s.Read.Type().DType)
		}
	}
	return out, b.Err()
}

// wideNodes finds what is computed in f32: sines and cosines with what leads to them alone by elementwise ops and views, since an angle
// of hundreds, as of the step of a diffusion, has no digits left in 8 bits; and, if outputs says so, what nothing but
// outputs read, the choice of rows, elementwise ops (as a cap of logits) and views between.
func wideNodes(t *op.Table, g *ir.Graph, outputs bool) []bool {
	const angle, output, other = 1, 2, 4
	readers := make([]int, len(g.Nodes))
	for _, o := range g.Outputs {
		readers[o.Value.Node.ID] |= output
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			readers[s.Next.Node.ID] |= other
		}
	}
	wide := make([]bool, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n, to := g.Nodes[i], other
		d, ok := t.Lookup(n.Op)
		view := ok && d.View
		switch by := readers[i]; {
		case n.Op == "sin" || n.Op == "cos":
			wide[i], to = true, angle
		case by == angle && (view || elementwise(n.Op)):
			wide[i], to = true, angle
		case by == output && n.Op != ir.OpScan:
			if wide[i] = outputs; view || elementwise(n.Op) || n.Op == "pick" {
				to = output
			}
		}
		for _, v := range n.In {
			if v.Valid() {
				readers[v.Node.ID] |= to
			}
		}
	}
	return wide
}

type narrower struct {
	table *op.Table
	to    ir.DType
	flows []bool // of old nodes: whether they are activations
	wide  []bool // of old nodes: whether they are computed as before
}

// activations finds the nodes that depend on an input, and on a weight or a
// floating-point input: neither tables of positions nor what is made of
// weights alone.
func activations(g *ir.Graph) []bool {
	input, learnt, out := make([]bool, len(g.Nodes)), make([]bool, len(g.Nodes)), make([]bool, len(g.Nodes))
	for i, n := range g.Nodes {
		input[i] = n.Op == ir.OpInput
		learnt[i] = (n.Op == ir.OpState || n.Op == ir.OpInput) && n.Types[0].DType.Float()
		for _, v := range n.In {
			input[i] = input[i] || v.Valid() && input[v.Node.ID]
			learnt[i] = learnt[i] || v.Valid() && learnt[v.Node.ID] && v.Type().DType.Float()
		}
		out[i] = input[i] && learnt[i]
	}
	return out
}

// node applies n to narrow activations, and narrows what it gives.
func (p *narrower) node(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
	if n.Op == "cast" { // as the document asks
		return nil
	}
	d, ok := p.table.Lookup(n.Op)
	if !ok {
		return nil
	}
	ports := len(in)
	if d.Params != nil {
		ports = len(d.Ports)
	}
	in = append([]ir.Value{}, in...)
	if n.Op == ir.OpScan { // what is carried over many steps stays wide
		in = asBefore(r, n, in)
		ports = 0
	}
	if p.wide[n.ID] {
		return r.Apply(n.Op, n.Attr, asBefore(r, n, in)...)
	}
	before := in
	in = append([]ir.Value{}, in...)
	for i, v := range in[:ports] {
		if v.Valid() && p.flows[n.In[i].Node.ID] {
			in[i] = p.cast(r, v)
		}
	}
	if _, err := d.Infer(ir.TypesOf(in), n.Attr); err != nil { // it wants all of one type
		for i, v := range in[:ports] {
			if v.Valid() {
				in[i] = p.cast(r, v)
			}
		}
		if _, err := d.Infer(ir.TypesOf(in), n.Attr); err != nil { // as of weights in blocks, whose products are of f32
			in = asBefore(r, n, before)
		}
	}
	out := r.Apply(n.Op, n.Attr, in...)
	if r.Err() == nil && p.flows[n.ID] {
		for i, v := range out {
			out[i] = p.cast(r, v)
		}
	}
	return out
}

// asBefore are inputs of n in the types that they had.
func asBefore(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
	out := make([]ir.Value, len(in))
	for i, v := range in {
		if out[i] = v; v.Valid() && r.Err() == nil {
			out[i] = r.Cast(v, n.In[i].Type().DType)
		}
	}
	return out
}

func (p *narrower) cast(r *rewriter, v ir.Value) ir.Value {
	if r.Err() != nil || v.Type().DType != ir.F32 {
		return v
	}
	return r.Cast(v, p.to)
}

// wideGradient writes g, the gradient of a weight, so that no sum is rounded to
// a narrow type: where a narrow product or sum is widened, it is made wide
// from the first.
func (l *learner) wideGradient(g ir.Value) ir.Value {
	if l.Err() != nil || !g.Valid() || g.Type().DType != ir.F32 {
		return g
	}
	n := g.Node
	switch n.Op {
	case "add":
		if n.In[0].Type().Equal(g.Type()) && n.In[1].Type().Equal(g.Type()) {
			return l.Add(l.wideGradient(n.In[0]), l.wideGradient(n.In[1]))
		}
	case "cast":
		return l.widened(n.In[0])
	}
	return g
}

// widened is v in f32, computed in f32 as far back as its last product or sum.
func (l *learner) widened(v ir.Value) ir.Value {
	n := v.Node
	l.Pos = n.Pos
	if !v.Type().DType.Float() || v.Type().DType == ir.F32 {
		return l.Cast(v, ir.F32)
	}
	switch n.Op {
	case "matmul":
		at := n.Attr.(op.MatMulAttr)
		at.Wide = true
		return l.Apply("matmul", at, n.In...)[0]
	case "conv_weight_grad":
		at := n.Attr.(op.ConvAttr)
		at.Wide = true
		return l.Apply(n.Op, at, n.In...)[0]
	case "reshape", "transpose":
		return l.Apply(n.Op, n.Attr, l.widened(n.In[0]))[0]
	case "reduce_sum":
		return l.Apply(n.Op, n.Attr, l.Cast(n.In[0], ir.F32))[0]
	case "add":
		if n.In[0].Type().Equal(v.Type()) && n.In[1].Type().Equal(v.Type()) {
			return l.Add(l.widened(n.In[0]), l.widened(n.In[1]))
		}
	}
	return l.Cast(v, ir.F32)
}
