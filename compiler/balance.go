package compiler

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// loadName is the output of the tokens of each expert, [layers, experts].
const loadName = "#load"

// balanced reports whether a weight is a bias that follows the load of experts
// instead of a gradient.
func (t *Training) balanced(path string, shape []ir.Dim) bool {
	return t.Balance != nil && t.Adapter == nil && train.Match(t.Balance.Bias, path) && (t.Trained == nil || t.Trained(path, shape))
}

// load makes an output of the tokens of each expert.
func (w *lossWriter) load() {
	b := w.t.Balance
	if b == nil || w.t.Phase == Evaluate || w.Err() != nil {
		return
	}
	w.Pos = b.Pos
	w.Pos.Path = "balance"
	taken := w.value[b.Taken]
	if n := taken.Type().Rank(); n != 3 && n != 4 {
		w.Fail(&op.Error{Pos: b.Pos, Op: "balance", Err: fmt.Errorf("taken is %v; want [batch, seq, experts]", taken.Type())})
		return
	}
	var weights ir.Value
	if b.Weights != "" {
		weights = w.batch(b.Weights, ir.Type{DType: ir.F32, Shape: taken.Type().Shape[:2]})
	}
	w.Graph.Outputs = append(w.Graph.Outputs, ir.Output{Name: loadName, Value: b.Load(w.Builder, taken, weights)})
}

// loads gives the tokens of each expert of every layer that has a bias, in the
// order of the biases.
func (l *learner) loads() []ir.Value {
	if len(l.biases) == 0 || l.Err() != nil {
		return nil
	}
	l.Pos = ir.Pos{Path: "balance"}
	shape := l.load.Type().Shape
	if len(shape) != 2 || shape[0] != ir.D(len(l.biases)) {
		l.Fail(&op.Error{Pos: l.t.Balance.Pos, Op: "balance", Err: fmt.Errorf("bias %q matches %d weights, and taken has the load %s of layers and experts",
			l.t.Balance.Bias, len(l.biases), ir.ShapeString(shape))})
		return nil
	}
	out := make([]ir.Value, len(l.biases))
	for i, s := range l.biases {
		t := s.Read.Type()
		if t.Rank() != 1 || t.Shape[0] != shape[1] {
			l.Fail(&op.Error{Pos: l.t.Balance.Pos, Op: "balance", Err: fmt.Errorf("bias %s is %v, and there are %v experts", s.Path, t, shape[1])})
			return nil
		}
		out[i] = l.Reshape(l.Slice(l.load, 0, i, i+1), shape[1])
	}
	return out
}

// loadSums are the states that loads of micro-batches are added up in.
func (l *learner) loadSums() []*ir.State {
	var out []*ir.State
	for _, s := range l.biases {
		out = append(out, l.Graph.AddState(ir.State{Path: s.Path + loadName, Kind: ir.Gradient, Init: "zeros", Pos: s.Pos}, s.Read.Type().As(ir.F32)))
	}
	return out
}

// balance writes the step of the biases.
func (l *learner) balance(loads []ir.Value) {
	if l.Err() != nil {
		return
	}
	for i, s := range l.biases {
		l.Pos = ir.Pos{Path: "balance." + s.Path}
		s.Next = l.kept(l.t.Balance.Next(l.Builder, s.Read, loads[i]), s.Read)
		l.average(s, l.counted)
	}
}
