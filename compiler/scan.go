package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
)

// over runs a pass on g, and on the bodies of its scans.
func (p pass) over(c *context, g *ir.Graph) (*ir.Graph, error) {
	out, err := p.run(c, g)
	if err != nil || p.outer {
		return out, err
	}
	for _, n := range out.Nodes {
		a, ok := n.Attr.(op.ScanAttr)
		if !ok {
			continue
		}
		if a.Body, err = p.over(&context{table: c.table, opt: c.opt}, a.Body); err != nil {
			return nil, err
		}
		n.Attr = a
	}
	return out, nil
}

// The states of the body of a loop, besides those that ScanInput names.
const stepState = "step"

func carryState(i int) string { return fmt.Sprintf("carry.%d", i) }
func eachState(i int) string  { return fmt.Sprintf("each.%d", i) }

// looped writes the body of a scan as a graph of states alone: the number of the
// step, which counts; rows, of which it takes one; what is carried; what is
// given, of which it sets one row; and what else it reads.
func looped(t *op.Table, n *ir.Node) (*ir.Graph, error) {
	at := n.Attr.(op.ScanAttr)
	b := op.NewBuilder(t)
	b.Pos = n.Pos
	state := func(path string, kind ir.Kind, t ir.Type) *ir.State {
		return b.Graph.AddState(ir.State{Path: path, Kind: kind, Pos: n.Pos}, t)
	}
	step := state(stepState, ir.Cache, ir.T(ir.I32, 1))
	in := make([]ir.Value, len(n.In))
	read := readByBody(at.Body)
	var carries []*ir.State
	for i, x := range n.In {
		switch {
		case i >= at.Rows && i < at.Rows+at.Carries:
			s := state(carryState(i-at.Rows), ir.Cache, x.Type())
			carries, in[i] = append(carries, s), s.Read
		case !read[op.ScanInput(i)]:
		case i < at.Rows:
			rows := state(op.ScanInput(i), ir.Cache, x.Type()).Read
			in[i] = b.Reshape(b.Gather(rows, step.Read, 0), x.Type().Shape[1:]...)
		default:
			in[i] = state(op.ScanInput(i), ir.Weight, x.Type()).Read
		}
	}
	out := b.Body(at.Body, in)
	if b.Err() != nil {
		return nil, b.Err()
	}
	given := slices.Clone(out[at.Carries:])
	if at.Keep {
		given = append(given, in[at.Rows:at.Rows+at.Carries]...)
	}
	for i, y := range given {
		whole, elems, one := n.Types[at.Carries+i], y.Type().Len(), ir.D(1)
		s := state(eachState(i), ir.Cache, whole.With(one, whole.Shape[0], one, elems))
		s.Next = b.Apply("cache_append", nil, s.Read, b.Reshape(y, one, one, one, elems), step.Read)[0]
	}
	for i, s := range carries {
		s.Next = out[i]
	}
	by := 1.
	if at.Reverse {
		by = -1
	}
	step.Next = b.Add(step.Read, b.Fill(by, ir.I32, ir.D(1)))
	return b.Graph, b.Err()
}

// readByBody lists the inputs and states that something in a body reads.
func readByBody(g *ir.Graph) map[string]bool {
	uses, out := countUses(g), map[string]bool{}
	for _, v := range g.Inputs {
		out[v.Node.InputName()] = uses[v.Node.ID][0] > 0
	}
	for _, s := range g.States {
		out[s.Path] = uses[s.Read.Node.ID][0] > 0
	}
	return out
}

// loop is a scan that is placed: where its body's states lie.
type loop struct {
	body   *plan.Plan
	states []*block
	begin  []carry // copies of what is carried at first
	step   *block
	first  int // number of the first step
	steps  int
}

// scan plans the body of a scan, and gives memory to what it gives.
func (p *placer) scan(i int, n *ir.Node) error {
	at := n.Attr.(op.ScanAttr)
	g, err := looped(p.c.table, n)
	if err != nil {
		return err
	}
	body, err := p.body(n, g)
	if err != nil {
		return err
	}
	l := &loop{body: body, step: p.block(ir.T(ir.I32, 1).Bytes(), i, i)}
	s := step{node: n, size: body.WorkBytes, loop: l}
	if s.size > 0 {
		s.scratch = p.block(s.size, i, i)
	}
	p.steps = append(p.steps, s)
	var taken []*block
	for o, t := range n.Types {
		out := ir.Value{Node: n, Out: o}
		end := max(i, p.last[out])
		if o >= at.Carries {
			p.at[out] = p.block(t.Bytes(), i, end)
			continue
		}
		start := n.In[at.Rows+o]
		b := p.at[start]
		if b.state != plan.Work || b.start < 0 || b.end != i || slices.Contains(taken, b) || p.readTwice(n, b, at.Rows+o) {
			b = p.block(t.Bytes(), i, end)
			l.begin = append(l.begin, carry{p.at[start], b, t, n.Pos})
		}
		b.end = max(b.end, end)
		p.at[out], taken = b, append(taken, b)
	}
	p.bindLoop(l, n)
	return nil
}

// bindLoop finds where the states of a body lie.
func (p *placer) bindLoop(l *loop, n *ir.Node) {
	at := n.Attr.(op.ScanAttr)
	where := map[string]*block{stepState: l.step}
	for i, x := range n.In {
		where[op.ScanInput(i)] = p.at[x]
	}
	for o := range n.Types {
		if o < at.Carries {
			where[carryState(o)] = p.at[ir.Value{Node: n, Out: o}]
		} else {
			where[eachState(o-at.Carries)] = p.at[ir.Value{Node: n, Out: o}]
		}
	}
	for _, s := range l.body.States {
		l.states = append(l.states, where[s.Path])
	}
	l.steps = 1
	if given := n.Types[at.Carries:]; len(given) > 0 {
		l.steps = given[0].Shape[0].N
	} else if at.Rows > 0 {
		l.steps = n.In[0].Type().Shape[0].N
	} else if list, err := at.Steps.Slice(); err == nil {
		l.steps = list[0].N
	}
	if at.Reverse {
		l.first = l.steps - 1
	}
}

// body plans what a scan runs for each step. Weights lie in it as they do outside.
func (p *placer) body(n *ir.Node, g *ir.Graph) (*plan.Plan, error) {
	opt := *p.c.opt
	opt.Training, opt.Entry = nil, plan.Entry{Name: "step"}
	layouts := map[string]ir.Layout{}
	for i, l := range p.layouts(n) {
		layouts[op.ScanInput(i)] = l
	}
	opt.Layout = func(path string) (ir.Layout, bool) { return layouts[path], true }
	c := &context{table: p.c.table, opt: &opt}
	for _, pass := range []pass{{name: "settle", run: settle}, {name: "schedule", run: schedule}} {
		var err error
		if g, err = pass.run(c, g); err != nil {
			return nil, err
		}
		if err := c.verifyOnly(pass.name, g); err != nil {
			return nil, err
		}
	}
	return place(c, g)
}

// plan writes a placed loop down.
func (l *loop) plan(pos ir.Pos, list []plan.State) *plan.Loop {
	out := &plan.Loop{Body: l.body, Steps: l.steps}
	i32 := ir.T(ir.I32, 1)
	out.Begin = append(out.Begin, plan.Step{
		Op: "fill", Attr: op.FillAttr{DType: ir.I32.String(), Shape: op.MakeDims(ir.D(1)), Value: float64(l.first)},
		Pos: pos, Out: []plan.Place{l.step.place(i32)}, Scratch: plan.Place{State: plan.None},
	})
	for _, x := range l.begin {
		out.Begin = append(out.Begin, x.step(list))
	}
	for i, b := range l.states {
		out.States = append(out.States, b.place(l.body.States[i].Type))
	}
	return out
}
