package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
)

// ScanAttr says how a scan runs its body.
type ScanAttr struct {
	// Body is one step. Its inputs, and its states, which are weights, are called
	// as ScanInput says: what it reads of the inputs of the scan, of the first Rows
	// one position. Its outputs are the next values of what is carried, and then
	// what it gives for each position.
	Body    *ir.Graph
	Rows    int  // inputs of which each step gets one position along the first axis
	Carries int  // inputs after these, that are carried from step to step
	Steps   Dims // one size: how many steps there are where there are no rows
	Reverse bool // from the last position to the first
	Keep    bool // what is carried into each step is a result too, for the gradient
}

// ScanInput is how the body of a scan calls input i.
func ScanInput(i int) string { return fmt.Sprintf("in.%d", i) }

// Each is the number of results for each position.
func (a ScanAttr) Each() int { return len(a.Body.Outputs) - a.Carries }

// reads lists what the body reads of each input; the zero Value of what it does not.
func (a ScanAttr) reads(inputs int) ([]ir.Value, error) {
	byName := map[string]ir.Value{}
	for _, v := range a.Body.Inputs {
		byName[v.Node.InputName()] = v
	}
	for _, s := range a.Body.States {
		byName[s.Path] = s.Read
	}
	out := make([]ir.Value, inputs)
	for i := range out {
		out[i] = byName[ScanInput(i)]
		delete(byName, ScanInput(i))
	}
	for name := range byName {
		return nil, fmt.Errorf("the body reads %q, but there are %d inputs", name, inputs)
	}
	return out, nil
}

// scan: rows [steps, ...], carries, and whatever else a step reads -> what is
// carried after the last step, and what the steps gave, [steps, ...] each.
func scan() Def {
	return Def{Name: "scan", Doc: "c, y = a graph, run for each position of rows: it gets the position and what it carried, and gives what it carries on and one position of each y.", Attr: ScanAttr{},
		Ports:   []Port{{Name: "xs", Doc: "rows, what is carried at first, and what every step reads", Variadic: true}},
		Infer:   inferScan,
		Lower:   lowerScan,
		Grad:    gradScan,
		ForGrad: func(attr any) any { at := attr.(ScanAttr); at.Keep = true; return at },
		Cases:   scanCases(),
	}
}

func inferScan(in []ir.Type, attr any) ([]ir.Type, error) {
	at := attr.(ScanAttr)
	switch {
	case at.Body == nil || len(in) < at.Rows+at.Carries || at.Each() < 0 || at.Carries+at.Each() == 0:
		return nil, fmt.Errorf("%d rows and %d values carried do not fit its body", at.Rows, at.Carries)
	}
	steps, err := scanSteps(in, at)
	if err != nil {
		return nil, err
	}
	reads, err := at.reads(len(in))
	if err != nil {
		return nil, err
	}
	for i, v := range reads {
		want := in[i]
		if i < at.Rows {
			if want.Rank() == 0 || want.Shape[0] != steps {
				return nil, fmt.Errorf("row %d is %v, want %v positions along the first axis", i, want, steps)
			}
			want = want.With(want.Shape[1:]...)
		}
		if v.Valid() && !v.Type().Equal(want) {
			return nil, fmt.Errorf("input %d is %v for a step, which wants %v", i, want, v.Type())
		}
	}
	var out, each []ir.Type
	for i, o := range at.Body.Outputs {
		t := o.Value.Type()
		if i >= at.Carries {
			each = append(each, t.With(append([]ir.Dim{steps}, t.Shape...)...))
			continue
		}
		if start := in[at.Rows+i]; !t.Equal(start) {
			return nil, fmt.Errorf("%s is %v at first, and %v after a step", o.Name, start, t)
		}
		out = append(out, t)
	}
	out = append(out, each...)
	for i := 0; at.Keep && i < at.Carries; i++ {
		out = append(out, out[i].With(append([]ir.Dim{steps}, out[i].Shape...)...))
	}
	return out, nil
}

// scanSteps is how many steps there are.
func scanSteps(in []ir.Type, at ScanAttr) (ir.Dim, error) {
	if at.Rows > 0 {
		if in[0].Rank() == 0 {
			return ir.Dim{}, fmt.Errorf("row 0 is %v; want an axis of positions", in[0])
		}
		return in[0].Shape[0], nil
	}
	list, err := at.Steps.Slice()
	if err != nil || len(list) != 1 {
		return ir.Dim{}, fmt.Errorf("there are no rows, and steps says not how many steps there are")
	}
	return list[0], nil
}

// lowerScan writes the body for each step.
func lowerScan(b *Builder, n *ir.Node) []ir.Value {
	at := n.Attr.(ScanAttr)
	steps, err := scanSteps(ir.TypesOf(n.In), at)
	if err == nil && !steps.Known() {
		err = fmt.Errorf("there are %v steps; want a number", steps)
	}
	if err != nil {
		b.Fail(&Error{Pos: n.Pos, Op: n.Op, Err: err})
		return n.In
	}
	carried := slices.Clone(n.In[at.Rows : at.Rows+at.Carries])
	given := make([][]ir.Value, at.Each()+at.Carries)
	in := slices.Clone(n.In)
	for s := range steps.N {
		if at.Reverse {
			s = steps.N - 1 - s
		}
		for i, x := range n.In[:at.Rows] {
			in[i] = b.Reshape(b.Slice(x, 0, s, s+1), x.Type().Shape[1:]...)
		}
		copy(in[at.Rows:], carried)
		out := b.Body(at.Body, in)
		if b.err != nil {
			return out
		}
		for i, y := range append(slices.Clone(out[at.Carries:]), carried...) {
			given[i] = append(given[i], b.Reshape(y, append([]ir.Dim{ir.D(1)}, y.Type().Shape...)...))
		}
		carried = slices.Clone(out[:at.Carries])
	}
	out := carried
	if !at.Keep {
		given = given[:at.Each()]
	}
	for _, list := range given {
		if at.Reverse {
			slices.Reverse(list)
		}
		out = append(out, b.Concat(0, list...))
	}
	return out
}

// Body writes the body of a scan on what stands for its inputs, and gives what
// stands for its outputs.
func (b *Builder) Body(g *ir.Graph, in []ir.Value) []ir.Value {
	given := map[string]ir.Value{}
	for i, v := range in {
		given[ScanInput(i)] = v
	}
	at := make(map[ir.Value]ir.Value, len(g.Nodes))
	for _, v := range g.Inputs {
		at[v] = given[v.Node.InputName()]
	}
	for _, s := range g.States {
		at[s.Read] = given[s.Path]
	}
	b.repeat(g, at)
	out := make([]ir.Value, len(g.Outputs))
	for i, o := range g.Outputs {
		out[i] = at[o.Value]
	}
	return out
}

// ScanAxis reads the axis of a row or a stack of a document.
func ScanAxis(fields map[string]any, rank int) (int, error) {
	a, err := attr.Decode(AxisAttr{}, fields)
	if err != nil {
		return 0, err
	}
	return axis(a.(AxisAttr).Axis, rank)
}
