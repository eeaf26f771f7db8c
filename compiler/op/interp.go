package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// Eval computes a graph in float64 by the reference loops, fused operations
// by their lowering: the meaning of the graph, slow and without rounding.
//
// inputs and states hold values by input name and state path, in C order;
// a state that is missing starts at zero. All sizes must be Known. The result
// has the outputs by name and the next values of states by path.
func Eval(t *Table, g *ir.Graph, inputs, states map[string][]float64) (map[string][]float64, error) {
	values, err := Values(t, g, inputs, states)
	if err != nil {
		return nil, err
	}
	outs := make(map[string][]float64, len(g.Outputs))
	put := func(name string, v ir.Value) error {
		if _, dup := outs[name]; dup {
			return fmt.Errorf("two results are called %q", name)
		}
		outs[name] = values[v]
		return nil
	}
	for _, o := range g.Outputs {
		if err := put(o.Name, o.Value); err != nil {
			return nil, err
		}
	}
	for _, s := range g.States {
		if !s.Next.Valid() {
			continue
		}
		if err := put(s.Path, s.Next); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// Values is Eval for every value of the graph. A value that several ops pass
// on may share memory: treat all as read-only.
func Values(t *Table, g *ir.Graph, inputs, states map[string][]float64) (map[ir.Value][]float64, error) {
	values := make(map[ir.Value][]float64, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, ty := range n.Types {
			if !ty.Known() {
				return nil, &Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("result is %v; want known sizes", ty)}
			}
		}
		out, err := t.eval(n, values, inputs, states)
		if err != nil {
			return nil, &Error{Pos: n.Pos, Op: n.Op, Err: err}
		}
		for i, ty := range n.Types {
			if len(out[i]) != ty.Elems() {
				return nil, &Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("output %d has %d elements, want %d of %v", i, len(out[i]), ty.Elems(), ty)}
			}
			values[ir.Value{Node: n, Out: i}] = out[i]
		}
	}
	return values, nil
}

// eval computes the outputs of one node.
func (t *Table) eval(n *ir.Node, values map[ir.Value][]float64, inputs, states map[string][]float64) ([][]float64, error) {
	switch n.Op {
	case ir.OpInput:
		x, ok := inputs[n.InputName()]
		if !ok {
			return nil, fmt.Errorf("no value for %q", n.InputName())
		}
		return [][]float64{x}, nil
	case ir.OpState:
		x, ok := states[n.Attr.(ir.StateAttr).Path]
		if !ok {
			x = make([]float64, n.Types[0].Elems())
		}
		return [][]float64{x}, nil
	}
	in := make([][]float64, len(n.In))
	for i, v := range n.In {
		in[i] = values[v]
	}
	return t.Reference(n.Op, n.Attr, in, ir.TypesOf(n.In))
}

// Reference computes the outputs of one op in float64: by Ref, or by its
// lowering. An input that is left out has the zero Type.
func (t *Table) Reference(name string, attr any, in [][]float64, types []ir.Type) ([][]float64, error) {
	d, ok := t.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("unknown op")
	}
	if _, err := d.Infer(types, attr); err != nil {
		return nil, err
	}
	if d.Ref != nil {
		return d.Ref(in, types, attr), nil
	}
	b, at, inputs := NewBuilder(t), make([]ir.Value, len(in)), map[string][]float64{}
	for i, ty := range types {
		if ty.DType != ir.Invalid {
			port := fmt.Sprint(i)
			at[i] = b.Graph.AddInput(port, ty, ir.Pos{})
			inputs[port] = in[i]
		}
	}
	b.keep = func(*ir.Node) bool { return false }
	out := b.Apply(name, attr, at...)
	if b.err != nil {
		return nil, b.err
	}
	values, err := Values(t, b.Graph, inputs, nil)
	if err != nil {
		return nil, err
	}
	y := make([][]float64, len(out))
	for i, v := range out {
		y[i] = values[v]
	}
	return y, nil
}
