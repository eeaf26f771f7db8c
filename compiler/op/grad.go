package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// Lowered appends g to b's graph, with every operation that has a Lower rule
// and that keep does not claim written in simpler ones, again and again. A nil
// keep claims none. Inputs, outputs and states of g become those of b's
// graph. It returns where g's values are; check Err before use.
func (b *Builder) Lowered(g *ir.Graph, keep func(n *ir.Node) bool) map[ir.Value]ir.Value {
	made := map[string]*ir.State{}
	at := b.Include(g, keep, func(s *ir.State) ir.Value {
		made[s.Path] = b.Graph.AddState(ir.State{Path: s.Path, Kind: s.Kind, Pos: s.Pos, Init: s.Init, Changes: s.Changes, Statistic: s.Statistic}, s.Read.Type())
		return made[s.Path].Read
	})
	if b.err != nil {
		return at
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			made[s.Path].Next = at[s.Next]
		}
	}
	for _, o := range g.Outputs {
		b.Graph.Outputs = append(b.Graph.Outputs, ir.Output{Name: o.Name, Value: at[o.Value]})
	}
	return at
}

// Include appends the values of g to b's graph, lowered as Lowered does. An
// input that b's graph has already is that input, and state says what each
// state of g reads. It returns where g's values are; check Err before use.
func (b *Builder) Include(g *ir.Graph, keep func(n *ir.Node) bool, state func(s *ir.State) ir.Value) map[ir.Value]ir.Value {
	if keep == nil {
		keep = func(*ir.Node) bool { return false }
	}
	saved, pos := b.keep, b.Pos
	b.keep = keep
	defer func() { b.keep, b.Pos = saved, pos }()

	at := make(map[ir.Value]ir.Value, len(g.Nodes))
	states := make(map[ir.Value]*ir.State, len(g.States))
	for _, s := range g.States {
		states[s.Read] = s
	}
	for _, n := range g.Nodes {
		v := ir.Value{Node: n}
		b.Pos = n.Pos
		switch n.Op {
		case ir.OpInput:
			at[v] = b.input(n)
		case ir.OpState:
			s, ok := states[v]
			if !ok {
				b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%v is not a state of the graph", v)})
				return at
			}
			at[v] = state(s)
		default:
			in := make([]ir.Value, len(n.In))
			for i, x := range n.In {
				in[i] = at[x]
			}
			for i, y := range b.Apply(n.Op, n.Attr, in...) {
				at[ir.Value{Node: n, Out: i}] = y
			}
		}
		if b.err != nil {
			return at
		}
	}
	return at
}

// input is the input of b's graph that n's is, made if need be.
func (b *Builder) input(n *ir.Node) ir.Value {
	for _, v := range b.Graph.Inputs {
		if v.Node.InputName() != n.InputName() {
			continue
		}
		if !v.Type().Equal(n.Types[0]) {
			b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("input %s is %v, and %v elsewhere", n.InputName(), n.Types[0], v.Type())})
		}
		return v
	}
	return b.Graph.AddInput(n.InputName(), n.Types[0], n.Pos)
}

// lower writes n, which is not in the graph, in simpler operations.
func (b *Builder) lower(d *Def, n *ir.Node) []ir.Value {
	out := d.Lower(b, n)
	if b.err != nil {
		return out
	}
	if len(out) != len(n.Types) {
		b.Fail(&Error{Pos: b.Pos, Op: n.Op, Err: fmt.Errorf("is lowered to %d values, want %d", len(out), len(n.Types))})
		return out
	}
	for i, v := range out {
		if !v.Type().Equal(n.Types[i]) {
			b.Fail(&Error{Pos: b.Pos, Op: n.Op, Err: fmt.Errorf("is lowered to %v, want %v", v.Type(), n.Types[i])})
		}
	}
	return out
}

// Grad appends the gradients of y, seeded by dy, for each of xs: the sum over
// all elements of y of dy times the derivative. A zero Value stands where
// nothing flows. What lies between xs and y must be lowered to operations that
// have a gradient.
func (b *Builder) Grad(y, dy ir.Value, xs ...ir.Value) []ir.Value {
	return b.Grads([]ir.Value{y}, []ir.Value{dy}, xs...)
}

// Grads is the sum of Grad for several ys; one whose dy is the zero Value counts
// for nothing.
func (b *Builder) Grads(ys, dys []ir.Value, xs ...ir.Value) []ir.Value {
	out := make([]ir.Value, len(xs))
	if b.err != nil {
		return out
	}
	last, sums := -1, map[ir.Value]ir.Value{}
	for i, y := range ys {
		if !dys[i].Valid() {
			continue
		}
		if !dys[i].Type().Equal(y.Type()) {
			b.Fail(&Error{Pos: b.Pos, Op: "grad", Err: fmt.Errorf("the value is %v but its gradient %v", y.Type(), dys[i].Type())})
			return out
		}
		last = max(last, y.Node.ID)
		if have, ok := sums[y]; ok {
			sums[y] = b.Add(have, dys[i])
		} else {
			sums[y] = dys[i]
		}
	}
	pos := b.Pos
	defer func() { b.Pos = pos }()
	needed := b.dependents(last, xs)
	for i := last; i >= 0 && b.err == nil; i-- {
		if n := b.Graph.Nodes[i]; needed[i] {
			b.backward(n, sums, needed)
		}
	}
	for i, x := range xs {
		if x.Valid() {
			out[i] = sums[x]
		}
	}
	return out
}

// dependents marks the nodes up to last that depend on xs, or are among them.
func (b *Builder) dependents(last int, xs []ir.Value) []bool {
	needed := make([]bool, last+1)
	for _, x := range xs {
		if x.Valid() && x.Node.ID <= last {
			needed[x.Node.ID] = true
		}
	}
	for i, n := range b.Graph.Nodes[:last+1] {
		for _, v := range n.In {
			if v.Valid() && needed[v.Node.ID] {
				needed[i] = true
			}
		}
	}
	return needed
}

// backward adds what n's outputs got to the sums of its inputs.
func (b *Builder) backward(n *ir.Node, sums map[ir.Value]ir.Value, needed []bool) {
	dy := make([]ir.Value, len(n.Types))
	some := false
	for i := range dy {
		dy[i] = sums[ir.Value{Node: n, Out: i}]
		some = some || dy[i].Valid()
	}
	wanted := false
	for _, v := range n.In {
		wanted = wanted || v.Valid() && needed[v.Node.ID] && v.Type().DType.Float()
	}
	if !some || !wanted {
		return
	}
	d, ok := b.Table.Lookup(n.Op)
	b.Pos = n.Pos
	switch {
	case !ok:
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("unknown op")})
		return
	case d.NoGrad:
		return
	case d.Grad == nil:
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("has no gradient of its own; the graph must be lowered first")})
		return
	}
	for _, k := range d.Flat {
		if x := n.In[k]; x.Valid() && needed[x.Node.ID] {
			b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gives no gradient of its input %d; the op must be lowered first", k)})
			return
		}
	}
	dx := d.Grad(b, n, dy)
	if b.err != nil {
		return
	}
	for k, g := range dx {
		x := n.In[k]
		if !g.Valid() || !x.Valid() || !needed[x.Node.ID] {
			continue
		}
		if !g.Type().Equal(x.Type()) {
			b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("gradient of input %d is %v, want %v", k, g.Type(), x.Type())})
			return
		}
		if have, ok := sums[x]; ok {
			g = b.Add(have, g)
		}
		sums[x] = g
	}
}

// Inlined appends a graph that f writes over inputs like in, and returns where
// f's results are. Gradients that f takes end at its inputs, even where one of
// in depends on another.
func (b *Builder) Inlined(in []ir.Value, f func(b *Builder, in []ir.Value) []ir.Value) []ir.Value {
	if b.err != nil {
		return in
	}
	inner := NewBuilder(b.Table)
	inner.Pos = b.Pos
	inner.keep = func(n *ir.Node) bool { // so that what is differentiated has a gradient
		d, ok := b.Table.Lookup(n.Op)
		return ok && d.Grad != nil
	}
	at := map[ir.Value]ir.Value{}
	args := make([]ir.Value, len(in))
	for i, v := range in {
		if v.Valid() {
			args[i] = inner.Graph.AddInput(fmt.Sprint(i), v.Type(), b.Pos)
			at[args[i]] = v
		}
	}
	out := f(inner, args)
	if inner.err != nil {
		b.Fail(inner.err)
		return out
	}
	b.repeat(inner.Graph, at)
	if b.err != nil {
		return out
	}
	for i, v := range out {
		out[i] = at[v]
	}
	return out
}

// repeat appends the nodes of g, whose inputs and states stand in at already, and
// notes there where their values are.
func (b *Builder) repeat(g *ir.Graph, at map[ir.Value]ir.Value) {
	pos := b.Pos
	defer func() { b.Pos = pos }()
	for _, n := range g.Nodes {
		if n.Op == ir.OpInput || n.Op == ir.OpState {
			continue
		}
		b.Pos = n.Pos
		in := make([]ir.Value, len(n.In))
		for i, v := range n.In {
			if v.Valid() {
				in[i] = at[v]
			}
		}
		for i, y := range b.Apply(n.Op, n.Attr, in...) {
			at[ir.Value{Node: n, Out: i}] = y
		}
		if b.err != nil {
			return
		}
	}
}
