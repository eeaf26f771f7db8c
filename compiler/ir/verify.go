package ir

import "fmt"

// Verify checks what must hold of any graph, whatever its ops mean: nodes are
// numbered in order, every edge points backwards to an existing output, types
// are complete, inputs and states are nodes of the graph under distinct names,
// and outputs and next states exist and keep their type.
func (g *Graph) Verify() error {
	for i, n := range g.Nodes {
		if n.ID != i {
			return fmt.Errorf("%v: node %d has number %d", n.Pos, i, n.ID)
		}
		if len(n.Types) == 0 {
			return fmt.Errorf("%v: %s has no output", n.Pos, n.Op)
		}
		for k, t := range n.Types {
			if t.DType == Invalid {
				return fmt.Errorf("%v: output %d of %s has no dtype", n.Pos, k, n.Op)
			}
		}
		for k, v := range n.In {
			if v.Valid() && (v.Node.ID >= i || !g.has(v)) {
				return fmt.Errorf("%v: input %d of %s is %v, which does not come before it", n.Pos, k, n.Op, v)
			}
		}
	}
	names := map[string]bool{}
	for _, v := range g.Inputs {
		if !g.has(v) || v.Node.Op != OpInput {
			return fmt.Errorf("input %v is not a node of the graph", v)
		}
		if name := v.Node.InputName(); names[name] {
			return fmt.Errorf("%v: two inputs are called %q", v.Node.Pos, name)
		} else {
			names[name] = true
		}
	}
	return g.verifyEnds()
}

func (g *Graph) verifyEnds() error {
	paths := map[string]bool{}
	for _, s := range g.States {
		if !g.has(s.Read) || s.Read.Node.Op != OpState || s.Read.Node.Attr != (StateAttr{s.Path}) {
			return fmt.Errorf("%v: state %s is not read in the graph", s.Pos, s.Path)
		}
		if paths[s.Path] {
			return fmt.Errorf("%v: two states are called %q", s.Pos, s.Path)
		}
		paths[s.Path] = true
		if !s.Next.Valid() {
			continue
		}
		if !g.has(s.Next) || !s.Next.Type().Equal(s.Read.Type()) {
			return fmt.Errorf("%v: state %s is %v and becomes %v", s.Pos, s.Path, s.Read.Type(), s.Next.Type())
		}
	}
	for _, o := range g.Outputs {
		if !g.has(o.Value) {
			return fmt.Errorf("output %s is not a value of the graph", o.Name)
		}
	}
	return nil
}

func (g *Graph) has(v Value) bool {
	return v.Valid() && v.Node.ID < len(g.Nodes) && g.Nodes[v.Node.ID] == v.Node && v.Out >= 0 && v.Out < len(v.Node.Types)
}
