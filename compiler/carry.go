package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
)

// carry is a copy at the end of a run: into a state that takes a value which
// was not made where the state lies, or out of a state before that.
type carry struct {
	from, to *block
	t        ir.Type
	pos      ir.Pos
}

// carries finds the copies at the end of the run, in an order in which nothing
// is overwritten before it is read. Where states take each other's old values,
// one of them waits in the work arena.
func (p *placer) carries() []carry {
	var list, waiting []carry
	for _, s := range p.g.States {
		to := p.state[s.Path]
		if s.Next.Valid() && p.at[s.Next].state != to {
			waiting = append(waiting, carry{p.at[s.Next], &block{state: to}, s.Read.Type(), s.Pos})
		}
	}
	overwritten := func(b *block) bool {
		return b.state >= 0 && slices.ContainsFunc(waiting, func(x carry) bool { return x.to.state == b.state })
	}
	aside := func(from *block, t ir.Type, pos ir.Pos) *block {
		b := p.block(t.Bytes(), len(p.g.Nodes), len(p.g.Nodes))
		list = append(list, carry{from, b, t, pos})
		return b
	}
	for i, o := range p.g.Outputs { // an output is what it was before states change
		if b := p.at[o.Value]; overwritten(b) {
			p.outs[i] = aside(b, o.Value.Type(), o.Value.Node.Pos)
		}
	}
	for len(waiting) > 0 {
		read := func(state int) bool {
			return slices.ContainsFunc(waiting, func(x carry) bool { return x.from.state == state })
		}
		if i := slices.IndexFunc(waiting, func(x carry) bool { return !read(x.to.state) }); i >= 0 {
			list = append(list, waiting[i])
			waiting = slices.Delete(waiting, i, i+1)
			continue
		}
		old := waiting[0].to // all are in a ring: what it holds is put aside for who reads it
		var b *block
		for i, x := range waiting {
			if x.from.state == old.state {
				if b == nil {
					b = aside(x.from, x.t, x.pos)
				}
				waiting[i].from = b
			}
		}
	}
	return list
}

// step is the copy as a step of the plan.
func (x carry) step(states []plan.State) plan.Step {
	s := plan.Step{Op: "reshape", Attr: op.ReshapeAttr{Shape: op.MakeDims(x.t.Shape...)}, Pos: x.pos, Scratch: plan.Place{State: plan.None},
		In: []plan.Place{x.from.place(x.t)}, Out: []plan.Place{x.to.place(x.t)}}
	s.Bytes = traffic(states, s)
	return s
}

func (b *block) place(t ir.Type) plan.Place {
	return plan.Place{State: b.state, Offset: b.offset, Type: t}
}
