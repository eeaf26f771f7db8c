package compiler

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// place decides where every tensor of a scheduled graph lies. Tensors whose
// lives do not meet share memory; an output takes over the memory of an input
// that dies with it, where the kernel allows; views cost nothing; a state is
// changed where it lies if nobody reads its old value afterwards.
func place(c *context, g *ir.Graph) (*plan.Plan, error) {
	p := &placer{c: c, g: g, last: c.lastReads(g), at: map[ir.Value]*block{}, outs: map[int]*block{}, state: map[string]int{}}
	p.states()
	for i, n := range g.Nodes {
		if err := p.node(i, n); err != nil {
			return nil, err
		}
	}
	ends := p.carries()
	work := arrange(p.blocks, c.opt.Target.Align())
	return p.plan(work, ends), nil
}

// block is memory that one tensor, or several in turn, lie in.
type block struct {
	state      int // index in the plan's states, or plan.Work
	bytes      int64
	start, end int // first and last node that it must hold for
	offset     int64
}

// step is a node with its scratch.
type step struct {
	node    *ir.Node
	scratch *block
	size    int64
	loop    *loop // of a scan
}

type placer struct {
	c      *context
	g      *ir.Graph
	last   map[ir.Value]int // last node that reads a value or a view of it
	at     map[ir.Value]*block
	outs   map[int]*block // of outputs that lie elsewhere at the end
	blocks []*block       // of the work arena
	state  map[string]int
	list   []plan.State
	steps  []step
}

// lastReads finds the last node that reads each value, through views as well;
// len(g.Nodes) if the value is wanted after the run.
func (c *context) lastReads(g *ir.Graph) map[ir.Value]int {
	last := map[ir.Value]int{}
	for _, o := range g.Outputs {
		last[o.Value] = len(g.Nodes)
	}
	for _, s := range g.States {
		if s.Next.Valid() {
			last[s.Next] = len(g.Nodes)
		}
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		for _, v := range n.In {
			if v.Valid() {
				last[v] = max(last[v], i)
			}
		}
		if c.isView(n) {
			last[n.In[0]] = max(last[n.In[0]], last[ir.Value{Node: n}])
		}
	}
	return last
}

// node gives memory to the outputs of node i and records its step.
func (p *placer) node(i int, n *ir.Node) error {
	out := ir.Value{Node: n}
	switch {
	case n.Op == ir.OpState:
		p.at[out] = &block{state: p.state[n.Attr.(ir.StateAttr).Path]}
		return nil
	case n.Op == ir.OpInput:
		p.at[out] = p.block(n.Types[0].Bytes(), -1, len(p.g.Nodes))
		return nil
	case p.c.isView(n):
		p.at[out] = p.at[n.In[0]]
		return nil
	case n.Op == ir.OpScan:
		return p.scan(i, n)
	}
	k, ok := p.c.kernel(n)
	if !ok {
		return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("%s has no kernel for %v", p.c.opt.Target.Name(), n.Types[0])}
	}
	s := step{node: n, size: kernels.Scratch(k, n.Attr, ir.TypesOf(n.In), n.Types, p.layouts(n))}
	if s.size > 0 {
		s.scratch = p.block(s.size, i, i)
	}
	p.steps = append(p.steps, s)
	var taken []*block
	for o, t := range n.Types {
		out.Out = o
		end := max(i, p.last[out])
		if b := p.reuse(i, out, k, t, taken); b != nil {
			b.end = max(b.end, end)
			p.at[out], taken = b, append(taken, b)
			continue
		}
		p.at[out] = p.block(t.Bytes(), i, end)
	}
	return nil
}

// block returns new memory in the work arena.
func (p *placer) block(bytes int64, start, end int) *block {
	b := &block{state: plan.Work, bytes: bytes, start: start, end: end}
	p.blocks = append(p.blocks, b)
	return b
}

// reuse returns the memory of an input that an output of node i may lie in:
// that of the state whose next value it is, else of a tensor that dies. Other
// outputs have taken some.
func (p *placer) reuse(i int, out ir.Value, k kernels.Kernel, t ir.Type, taken []*block) *block {
	n := out.Node
	var dies *block
	for x, v := range n.In {
		if !v.Valid() || !k.InPlace(out.Out, x) || v.Type().Bytes() != t.Bytes() || v.Type().DType != t.DType {
			continue
		}
		b := p.at[v]
		switch {
		case slices.Contains(taken, b) || p.readTwice(n, b, x):
		case b.state != plan.Work:
			if p.becomes(v, out, i) {
				return b
			}
		case dies == nil && b.end == i && b.start >= 0:
			dies = b
		}
	}
	return dies
}

// readTwice reports whether another input of n than x lies in b: a kernel in
// place may overwrite it before it is read.
func (p *placer) readTwice(n *ir.Node, b *block, x int) bool {
	for y, v := range n.In {
		if y != x && v.Valid() && p.at[v] == b {
			return true
		}
	}
	return false
}

// becomes reports whether next, made by node i, is the next value of the state
// that v reads, and nothing reads the old one later.
func (p *placer) becomes(v, next ir.Value, i int) bool {
	for _, s := range p.g.States {
		if s.Read == v && s.Next == next {
			return p.last[v] == i
		}
	}
	return false
}

// plan writes everything down, now that offsets are known.
func (p *placer) plan(work int64, ends []carry) *plan.Plan {
	out := &plan.Plan{Name: p.c.opt.Entry.Name, Backend: p.c.opt.Target.Name(), States: p.list, WorkBytes: work}
	frees := map[int][]plan.Place{} // by the last node that needs a block
	for _, b := range p.blocks {
		if b.bytes > 0 {
			frees[b.end] = append(frees[b.end], plan.Place{State: plan.Work, Offset: b.offset, Type: ir.T(ir.U8, int(b.bytes))})
		}
	}
	for _, s := range p.steps {
		n := s.node
		made := plan.Step{Op: n.Op, Attr: n.Attr, Pos: n.Pos, FLOPs: p.c.table.FLOPs(n), Scratch: plan.Place{State: plan.None}, Frees: frees[n.ID]}
		if s.scratch != nil {
			made.Scratch = plan.Place{State: plan.Work, Offset: s.scratch.offset, Type: ir.T(ir.U8, int(s.size))}
		}
		for _, v := range n.In {
			made.In = append(made.In, p.place(v))
		}
		for o := range n.Types {
			made.Out = append(made.Out, p.place(ir.Value{Node: n, Out: o}))
		}
		made.Bytes = traffic(p.list, made)
		if s.loop != nil {
			made.Attr, made.Loop = nil, s.loop.plan(n.Pos, p.list)
			made.FLOPs = int64(s.loop.steps) * s.loop.body.FLOPs()
			made.Bytes = int64(s.loop.steps) * s.loop.body.BytesMoved()
		}
		out.Steps = append(out.Steps, made)
	}
	for _, x := range ends {
		out.Steps = append(out.Steps, x.step(p.list))
	}
	for _, v := range p.g.Inputs {
		out.Inputs = append(out.Inputs, plan.Port{Name: v.Node.InputName(), Place: p.place(v), Path: v.Node.Pos.Path})
	}
	for i, o := range p.g.Outputs {
		at := p.place(o.Value)
		if b := p.outs[i]; b != nil {
			at = b.place(o.Value.Type())
		}
		out.Outputs = append(out.Outputs, plan.Port{Name: o.Name, Place: at, Path: o.Value.Node.Pos.Path})
	}
	return out
}

func (p *placer) place(v ir.Value) plan.Place {
	if !v.Valid() {
		return plan.Place{State: plan.None}
	}
	return p.at[v].place(v.Type())
}

// traffic counts the bytes that a step reads and writes. Of a table that is
// looked up, only the rows that are read count, and of experts those that may be
// chosen.
func traffic(states []plan.State, s plan.Step) int64 {
	var sum int64
	for i, in := range s.In {
		experts, ok := s.Attr.(op.ExpertLinearAttr)
		switch {
		case ok && i == 2:
			bytes := in.Type.Bytes()
			if in.State >= 0 && states[in.State].Layout != "" {
				bytes = states[in.State].Bytes
			}
			sum += experts.Read(bytes, int64(s.In[1].Type.Elems()))
		case in.State == plan.None:
		case in.State >= 0 && (s.Op == "embedding" && i == 1 || s.Op == "gather" && i == 0):
			sum += s.Out[0].Type.Bytes()
		case in.State >= 0 && s.Op == "cache_append":
			sum += s.In[1].Type.Bytes()
			return sum + s.In[1].Type.Bytes()
		case in.State >= 0 && states[in.State].Layout != "":
			sum += states[in.State].Bytes
		default:
			sum += in.Type.Bytes()
		}
	}
	for _, out := range s.Out {
		sum += out.Type.Bytes()
	}
	return sum
}
