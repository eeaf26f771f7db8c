package compiler

import "pipe.dev/compiler/ir"

// sums are the states that gradients and counts are added up in.
func (l *learner) sums() (grads []*ir.State, count *ir.State) {
	for _, w := range l.weights {
		t := w.Read.Type()
		grads = append(grads, l.Graph.AddState(ir.State{Path: w.Path + "#grad", Kind: ir.Gradient, Init: "zeros", Pos: w.Pos}, t.As(ir.F32)))
	}
	return grads, l.Graph.AddState(ir.State{Path: "#count", Kind: ir.Gradient, Init: "zeros"}, ir.T(ir.F32))
}

// accumulate adds the gradients and the count of a micro-batch to what there is.
func (l *learner) accumulate(grads []ir.Value, count ir.Value, sums []*ir.State, all *ir.State) {
	if l.Err() != nil {
		return
	}
	l.Pos = ir.Pos{Path: "accumulate"}
	for i, s := range sums {
		s.Next = l.Add(s.Read, l.Cast(grads[i], ir.F32))
	}
	all.Next = l.Add(all.Read, l.Cast(count, ir.F32))
	loads := l.loads()
	for i, s := range l.loadSums() {
		if l.Err() == nil {
			s.Next = l.Add(s.Read, loads[i])
		}
	}
}

// allSums are the states that anything is added up in.
func (l *learner) allSums() []*ir.State {
	sums, count := l.sums()
	return append(append(sums, count), l.loadSums()...)
}

// readWeights gives a phase without a model its weights.
func (l *learner) readWeights() {
	for _, s := range l.old.States {
		if s.Kind == ir.Weight {
			made := l.Graph.AddState(ir.State{Path: s.Path, Kind: s.Kind, Pos: s.Pos, Init: s.Init, Statistic: s.Statistic}, s.Read.Type())
			l.trained(made)
		}
	}
}

// fromSums updates by what was accumulated, and begins the sums anew.
func (l *learner) fromSums() {
	l.readWeights()
	sums, count := l.sums()
	grads := make([]ir.Value, len(sums))
	for i, s := range sums {
		grads[i] = l.Cast(s.Read, l.weights[i].Read.Type().DType)
	}
	l.update(grads, count.Read)
	loads := l.loadSums()
	read := make([]ir.Value, len(loads))
	for i, s := range loads {
		read[i] = s.Read
	}
	l.balance(read)
	if !l.t.Apart {
		l.begin(append(append(sums, count), loads...))
	}
}

// begin sets sums to 0.
func (l *learner) begin(sums []*ir.State) {
	if l.Err() != nil {
		return
	}
	l.Pos = ir.Pos{Path: "begin"}
	for _, s := range sums {
		s.Next = l.Fill(0, ir.F32, s.Read.Type().Shape...)
	}
}
