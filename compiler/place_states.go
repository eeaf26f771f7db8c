package compiler

import (
	"cmp"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
)

// states fixes the layout and size of every state.
func (p *placer) states() {
	readers := map[ir.Value][]*ir.Node{}
	for _, n := range p.g.Nodes {
		for _, v := range n.In {
			if v.Valid() && v.Node.Op == ir.OpState && !slices.Contains(readers[v], n) {
				readers[v] = append(readers[v], n)
			}
		}
	}
	sorted := slices.Clone(p.g.States)
	slices.SortFunc(sorted, func(a, b *ir.State) int { return cmp.Compare(a.Path, b.Path) })
	for _, s := range sorted {
		t := s.Read.Type()
		made := plan.State{Path: s.Path, Kind: s.Kind, Type: t, Init: s.Init, Pos: s.Pos, Bytes: t.Bytes(), Changes: s.Changes || s.Next.Valid(), Statistic: s.Statistic, Pairs: s.Pairs}
		stays := s.Kind == ir.Weight && !s.Next.Valid() && p.last[s.Read] < len(p.g.Nodes)
		if stays && p.c.opt.Training == nil { // all phases of a training read the same memory
			made.Layout = p.layout(s.Read, readers[s.Read])
			if shared := p.c.opt.Layout; shared != nil {
				if l, ok := shared(s.Path); ok {
					made.Layout = l
				}
			}
			made.Bytes = p.c.opt.Target.LayoutBytes(made.Layout, t)
		}
		p.state[s.Path] = len(p.list)
		p.list = append(p.list, made)
	}
}

// layout picks the layout of a weight that every reader can read and one
// reads fastest; row-major if there is none.
func (p *placer) layout(v ir.Value, readers []*ir.Node) ir.Layout {
	target, t := p.c.opt.Target, v.Type()
	reads, ok := p.reads(v, readers)
	if !ok {
		return ""
	}
	for _, r := range reads {
		wish := target.Layout(r.node.Op, r.node.Attr, r.input, t)
		if wish == "" {
			continue
		}
		if !slices.ContainsFunc(reads, func(r read) bool { return !target.Accepts(r.node.Op, r.node.Attr, r.input, t, wish) }) {
			return wish
		}
	}
	return ""
}

// read is a node that reads a weight by one of its inputs.
type read struct {
	node  *ir.Node
	input int
}

// reads lists who reads a weight, in the bodies of scans too; false if someone
// wants it row by row.
func (p *placer) reads(v ir.Value, readers []*ir.Node) (list []read, ok bool) {
	for _, n := range readers {
		if p.c.isView(n) {
			return nil, false
		}
		for i, x := range n.In {
			if x != v {
				continue
			}
			a, scan := n.Attr.(op.ScanAttr)
			if !scan {
				list = append(list, read{n, i})
				continue
			}
			if i < a.Rows+a.Carries {
				return nil, false
			}
			within := inBody(a.Body, op.ScanInput(i))
			inner, ok := p.reads(within, readersOf(a.Body, within))
			if !ok {
				return nil, false
			}
			list = append(list, inner...)
		}
	}
	return list, true
}

// inBody is the input or the state of a body that has a name.
func inBody(g *ir.Graph, name string) ir.Value {
	for _, v := range g.Inputs {
		if v.Node.InputName() == name {
			return v
		}
	}
	for _, s := range g.States {
		if s.Path == name {
			return s.Read
		}
	}
	return ir.Value{}
}

// readersOf lists the nodes that read v.
func readersOf(g *ir.Graph, v ir.Value) []*ir.Node {
	var list []*ir.Node
	for _, n := range g.Nodes {
		if v.Valid() && slices.Contains(n.In, v) {
			list = append(list, n)
		}
	}
	return list
}

// layouts are those of the inputs of n.
func (p *placer) layouts(n *ir.Node) []ir.Layout {
	out := make([]ir.Layout, len(n.In))
	for i, v := range n.In {
		if v.Valid() && v.Node.Op == ir.OpState {
			out[i] = p.list[p.state[v.Node.Attr.(ir.StateAttr).Path]].Layout
		}
	}
	return out
}
