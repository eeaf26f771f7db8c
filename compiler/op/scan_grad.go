package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// gradScan is a scan the other way round. Each of its steps computes the step of
// the forward pass anew, from what was carried into it, and its gradients: that
// of what is carried goes on to the next step, as does the sum of those of what
// every step reads; that of rows is given for each position.
func gradScan(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	at := n.Attr.(ScanAttr)
	kept := make([]ir.Value, at.Carries)
	first := at.Carries + at.Each()
	if from := n; !at.Keep {
		at.Keep = true
		copy(kept, b.Apply("scan", at, from.In...)[first:])
	} else {
		for i := range kept {
			kept[i] = ir.Value{Node: n, Out: first + i}
		}
	}
	if b.err != nil {
		return make([]ir.Value, len(n.In))
	}
	g := &scanGradient{outer: b, Builder: NewBuilder(b.Table), at: at, n: n}
	g.Pos = n.Pos
	g.keep = func(n *ir.Node) bool { // so that what is differentiated has a gradient
		d, ok := b.Table.Lookup(n.Op)
		return ok && d.Grad != nil && len(d.Flat) == 0
	}
	return g.write(kept, dy)
}

// scanGradient writes the gradient of one scan.
type scanGradient struct {
	*Builder          // of the body
	outer    *Builder // of the graph around
	at       ScanAttr
	n        *ir.Node

	rows, starts, others []ir.Value // inputs of the new scan
	carried              []ir.Value // what is carried into a step of it
}

// input is what a step gets of an input of the new scan; states are weights.
func (g *scanGradient) input(i int, t ir.Type, state bool) ir.Value {
	name := ScanInput(i)
	if state {
		return g.Graph.AddState(ir.State{Path: name, Kind: ir.Weight, Pos: g.n.Pos}, t).Read
	}
	return g.Graph.AddInput(name, t, g.n.Pos)
}

// write gives the gradients of the inputs. The new scan reads rows: those of the
// scan, what was carried into each step, and the gradients of what it gave; it
// carries the gradients of what is carried, and of all else that is read.
func (g *scanGradient) write(kept, dy []ir.Value) []ir.Value {
	at, in := g.at, g.n.In
	reads, err := at.reads(len(in))
	if err != nil {
		g.outer.Fail(&Error{Pos: g.n.Pos, Op: g.n.Op, Err: err})
		return make([]ir.Value, len(in))
	}
	args := make([]ir.Value, len(in)) // what a step of the forward pass reads
	row := func(x ir.Value) ir.Value {
		g.rows = append(g.rows, x)
		return g.input(len(g.rows)-1, x.Type().With(x.Type().Shape[1:]...), false)
	}
	for i, x := range in[:at.Rows] {
		args[i] = row(x)
	}
	for i, x := range kept {
		args[at.Rows+i] = row(x)
	}
	seeds := make([]ir.Value, len(at.Body.Outputs)+at.Carries) // of what a step gives, and of what it was given
	for i, d := range dy[at.Carries:] {
		if d.Valid() {
			seeds[at.Carries+i] = row(d)
		}
	}
	carry := func(start ir.Value) ir.Value {
		g.starts = append(g.starts, start)
		v := g.input(len(g.rows)+len(g.starts)-1, start.Type(), false)
		g.carried = append(g.carried, v)
		return v
	}
	for i := range at.Carries {
		if t := g.n.Types[i]; t.DType.Float() {
			d := dy[i]
			if !d.Valid() {
				d = g.outer.Fill(0, t.DType, t.Shape...)
			}
			seeds[i] = carry(d)
		}
	}
	var summed []int // other inputs whose gradients are added up
	for i := at.Rows + at.Carries; i < len(in); i++ {
		if t := in[i].Type(); t.DType.Float() && reads[i].Valid() {
			summed = append(summed, i)
			carry(g.outer.Fill(0, t.DType, t.Shape...))
		}
	}
	for i := at.Rows + at.Carries; i < len(in); i++ {
		if reads[i].Valid() {
			args[i] = g.input(len(g.rows)+len(g.starts)+len(g.others), in[i].Type(), reads[i].Node.Op == ir.OpState)
			g.others = append(g.others, in[i])
		}
	}
	return g.finish(args, seeds, summed)
}

// finish writes the body's gradients and the scan over it.
func (g *scanGradient) finish(args, seeds []ir.Value, summed []int) []ir.Value {
	at := g.at
	ys := append(g.Builder.Body(at.Body, args), args[at.Rows:at.Rows+at.Carries]...)
	grads := g.Grads(ys, seeds, args...)
	of := func(i int) ir.Value {
		if g.err == nil && !grads[i].Valid() {
			t := args[i].Type()
			return g.Fill(0, t.DType, t.Shape...)
		}
		return grads[i]
	}
	put := func(name string, i int, v ir.Value) {
		g.Graph.Outputs = append(g.Graph.Outputs, ir.Output{Name: fmt.Sprintf("%s of %d", name, i), Value: v})
	}
	var floats []int // of the inputs whose gradients are carried, in order
	for i := range at.Carries {
		if g.n.Types[i].DType.Float() {
			floats = append(floats, at.Rows+i)
			put("gradient", at.Rows+i, of(at.Rows+i))
		}
	}
	for k, i := range summed {
		put("sum", i, g.Add(g.carried[len(floats)+k], of(i)))
	}
	var wanted []int // rows that get a gradient
	for i := range at.Rows {
		if g.n.In[i].Type().DType.Float() {
			wanted = append(wanted, i)
			put("gradient", i, of(i))
		}
	}
	if g.err != nil {
		g.outer.Fail(g.err)
	}
	if g.outer.err != nil {
		return make([]ir.Value, len(g.n.In))
	}
	back := ScanAttr{Body: g.Graph, Rows: len(g.rows), Carries: len(g.starts), Steps: at.Steps, Reverse: !at.Reverse}
	out := g.outer.Apply("scan", back, slices.Concat(g.rows, g.starts, g.others)...)
	grad := make([]ir.Value, len(g.n.In))
	for k, i := range slices.Concat(floats, summed, wanted) {
		grad[i] = out[k]
	}
	return grad
}
