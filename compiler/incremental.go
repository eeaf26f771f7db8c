package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
)

// incremental turns the inputs of an op into those of a run that continues a
// sequence: ports that count past positions read the graph's input, and ports
// whose past values are kept read a cache, to which the new values were
// appended. In other runs it changes nothing.
func (e *elaborator) incremental(at *instance, d *op.Def, fields map[string]any, in []ir.Value) ([]ir.Value, error) {
	if e.opt.Entry.Cache == ir.Invalid || e.opt.Entry.Encode {
		return in, nil
	}
	kept, _ := fields["cache"].(bool)
	if e.around != nil && (kept || d.Remembered) {
		return nil, fmt.Errorf("keeps what is past, which nothing within a scan can; what is carried is what a scan keeps")
	}
	for i, p := range d.Ports {
		if p.Implicit == "past" && !in[i].Valid() && e.around == nil {
			past, err := e.pastInput(at, in)
			if err != nil {
				return nil, err
			}
			in[i] = past
		}
	}
	if !kept {
		return in, nil
	}
	for _, i := range d.Cached {
		past, err := e.pastInput(at, in)
		if err != nil {
			return nil, err
		}
		t := in[i].Type()
		if t.Rank() < 2 {
			return nil, fmt.Errorf("%s is %v, which has no axis of positions to keep", d.Ports[i].Name, t)
		}
		if err := keepable(e.opt.Entry.Cache, d.Ports[i].Name, t); err != nil {
			return nil, err
		}
		shape := append([]ir.Dim{t.Shape[0], ir.Sym("ctx")}, t.Shape[2:]...)
		s := e.Graph.AddState(ir.State{
			Path: at.id + "." + d.Ports[i].Name, Kind: ir.Cache, Pos: at.pos(), Init: "zeros",
		}, ir.Type{DType: e.opt.Entry.Cache, Shape: shape})
		s.Next = e.Apply("cache_append", nil, s.Read, in[i], past)[0]
		in[i] = s.Next
	}
	return in, e.Err()
}

// remember gives the value of a node whose x is computed once for a source: a
// program that encodes writes x to a state, with room for more positions unless all
// sources have as many, and one that continues a sequence reads what lies there, of the one source.
func (e *elaborator) remember(at *instance, x ir.Value) (ir.Value, error) {
	entry := e.opt.Entry
	if entry.Cache == ir.Invalid {
		return x, nil
	}
	t := x.Type()
	if t.Rank() < 2 {
		return x, fmt.Errorf("x is %v, which has no axis of positions", t)
	}
	if err := keepable(entry.Cache, "x", t); err != nil {
		return x, err
	}
	e.remembers = true
	shape := append([]ir.Dim{ir.D(1), ir.Sym("room")}, t.Shape[2:]...)
	if t.Shape[1].Known() { // every source has that many, and all of them are seen
		shape[1] = t.Shape[1]
	}
	if entry.Encode {
		shape[0] = t.Shape[0]
	}
	s := e.Graph.AddState(ir.State{Path: at.id, Kind: ir.Cache, Pos: at.pos(), Init: "zeros"}, ir.Type{DType: entry.Cache, Shape: shape})
	if !entry.Encode {
		return s.Read, nil
	}
	s.Next = e.Apply("cache_append", nil, s.Read, x, e.Fill(0, ir.I32, t.Shape[0]))[0]
	return s.Next, e.Err()
}

// pastInput is the graph's input that counts the positions before this call,
// one number for each sequence.
func (e *elaborator) pastInput(at *instance, in []ir.Value) (ir.Value, error) {
	if e.past.Valid() {
		return e.past, nil
	}
	if len(in) == 0 || !in[0].Valid() || in[0].Type().Rank() == 0 {
		return e.past, fmt.Errorf("its first input has no axis of sequences")
	}
	e.past = e.Graph.AddInput("past", ir.Type{DType: ir.I32, Shape: in[0].Type().Shape[:1]}, at.pos())
	return e.past, nil
}

// length is how long the sequences of a program may get: as long as its caches,
// or, where nothing is kept, as long as the first input of an op.
func (e *elaborator) length(in []ir.Value) ir.Dim {
	if e.opt.Entry.Cache != ir.Invalid && !e.opt.Entry.Encode {
		return ir.Sym("ctx")
	}
	if len(in) == 0 || !in[0].Valid() || in[0].Type().Rank() < 2 {
		return ir.D(0)
	}
	return in[0].Type().Shape[1]
}

// keepable says why values of type t can't be kept in a cache of type d.
func keepable(d ir.DType, port string, t ir.Type) error {
	if block, _ := d.Block(); block > 1 && !t.Blocks(d) {
		return &plan.CacheError{Port: port, Size: fmt.Sprint(t.Shape[t.Rank()-1]), Block: block, Type: d}
	}
	return nil
}
