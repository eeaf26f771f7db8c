package compiler

import (
	"fmt"
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// bind gives numbers to the named sizes of g.
func bind(_ *context, g *ir.Graph, sizes map[string]int) (*ir.Graph, error) {
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if sizes[name] <= 0 {
			return nil, fmt.Errorf("size %s is %d, want at least 1", name, sizes[name])
		}
	}
	out := sized(g, sizes)
	for _, n := range out.Nodes {
		for _, t := range n.Types {
			if !t.Known() {
				return nil, &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("the size of %v is not given", t)}
			}
		}
	}
	return out, nil
}

// sized copies g with numbers for some of its named sizes.
func sized(g *ir.Graph, sizes map[string]int) *ir.Graph {
	out := &ir.Graph{}
	at := make([]*ir.Node, len(g.Nodes))
	value := func(v ir.Value) ir.Value {
		if !v.Valid() {
			return v
		}
		return ir.Value{Node: at[v.Node.ID], Out: v.Out}
	}
	for _, n := range g.Nodes {
		m := &ir.Node{Op: n.Op, Attr: op.Bind(n.Attr, sizes), Pos: n.Pos}
		if a, ok := m.Attr.(op.ScanAttr); ok {
			a.Body = sized(a.Body, sizes)
			m.Attr = a
		}
		for _, v := range n.In {
			m.In = append(m.In, value(v))
		}
		for _, t := range n.Types {
			m.Types = append(m.Types, t.Bind(sizes))
		}
		out.Add(m)
		at[n.ID] = m
	}
	for _, v := range g.Inputs {
		out.Inputs = append(out.Inputs, value(v))
	}
	for _, s := range g.States {
		bound := *s
		bound.Read, bound.Next = value(s.Read), value(s.Next)
		out.States = append(out.States, &bound)
	}
	for _, o := range g.Outputs {
		out.Outputs = append(out.Outputs, ir.Output{Name: o.Name, Value: value(o.Value)})
	}
	return out
}

// Names lists the named sizes of a graph's inputs and states, sorted.
func Names(g *ir.Graph) []string {
	found := map[string]bool{}
	for _, n := range g.Nodes {
		if n.Op != ir.OpInput && n.Op != ir.OpState {
			continue
		}
		for _, d := range n.Types[0].Shape {
			if !d.Known() {
				for _, name := range d.Names() {
					found[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
