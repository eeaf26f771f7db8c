package compiler

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
)

// average keeps the average of a weight that a step changes.
func (l *learner) average(w *ir.State, step ir.Value) {
	if l.t.Average == nil || l.Err() != nil {
		return
	}
	l.Pos = ir.Pos{Path: "average." + w.Path}
	t := w.Read.Type().As(ir.F32)
	avg := l.Graph.AddState(ir.State{Path: train.AverageOf(w.Path), Kind: ir.Moment, Init: "zeros", Pos: l.Pos}, t)
	avg.Next = l.kept(l.t.Average.Next(l.Builder, avg.Read, w.Next, step), avg.Read)
}

// readAverages makes an evaluation read averages instead of the weights.
func (l *learner) readAverages() {
	if l.t.Average == nil || !l.t.Average.Evaluate {
		return
	}
	for _, w := range slices.Concat(l.weights, l.biases) {
		w.Path, w.Kind, w.Init, w.Changes = train.AverageOf(w.Path), ir.Moment, "zeros", false
		w.Read.Node.Attr = ir.StateAttr{Path: w.Path}
	}
}
