package compiler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
)

// lossOutputs makes outputs of the values that losses read, under their tokens.
func (e *elaborator) lossOutputs() error {
	if e.opt.Training == nil {
		return nil
	}
	for _, l := range e.opt.Training.Losses {
		tokens := []string{l.Y}
		for _, name := range slices.Sorted(maps.Keys(l.In)) {
			tokens = append(tokens, l.In[name].Token)
		}
		for _, token := range tokens {
			if token == "" || slices.ContainsFunc(e.Graph.Outputs, func(o ir.Output) bool { return o.Name == token }) {
				continue
			}
			v, err := e.token(token)
			if err != nil {
				return &op.Error{Pos: l.Pos, Op: l.Objective.Name, Err: err}
			}
			e.Graph.Outputs = append(e.Graph.Outputs, ir.Output{Name: token, Value: v})
		}
	}
	return nil
}

// lossWriter writes a model and its losses with whole ops.
type lossWriter struct {
	*op.Builder
	t           *Training
	model, base *ir.Graph
	value       map[string]ir.Value // of the model, by token; "" is its output
	reference   ir.Value            // output of the reference model, once it is needed
}

// write returns the sum of losses and what it is divided by in the end. Several
// terms are one, sum(weight mean) times the count of the first, so that
// training is the same whether counted by one term or by several.
func (w *lossWriter) write() (sum, count ir.Value) {
	all := func(*ir.Node) bool { return true }
	at := w.Lowered(w.model, all)
	w.Graph.Outputs = nil
	if w.Err() != nil {
		return sum, count
	}
	w.value = map[string]ir.Value{"": at[w.model.Outputs[0].Value]}
	for _, o := range w.model.Outputs[1:] {
		w.value[o.Name] = at[o.Value]
	}
	for i, l := range w.t.Losses {
		s, n := w.term(l)
		if w.Err() != nil {
			return sum, count
		}
		if len(w.t.Losses) > 1 {
			mean := w.Div(s, n)
			w.report(l.Name, mean)
			if i > 0 {
				s = w.Mul(mean, count)
			}
		}
		if l.Weight != 1 {
			s = w.Mul(s, w.Scalar(l.Weight, s))
		}
		if i == 0 {
			sum, count = s, n
		} else {
			sum = w.Add(sum, s)
		}
	}
	w.Graph.Outputs = append(w.Graph.Outputs, ir.Output{Name: "loss", Value: sum}, ir.Output{Name: "count", Value: count})
	return sum, count
}

// term writes one loss.
func (w *lossWriter) term(l train.Term) (sum, count ir.Value) {
	w.Pos = l.Pos
	w.Pos.Path = l.Objective.Name
	y := w.value[l.Y]
	types, err := l.Objective.Types(y.Type())
	if err != nil {
		w.Fail(&op.Error{Pos: l.Pos, Op: l.Objective.Name, Err: err})
		return sum, count
	}
	in := map[string]ir.Value{}
	for _, p := range l.Objective.Inputs {
		from, given := l.In[p.Name]
		switch {
		case p.Reference != nil:
			in[p.Name] = p.Reference(w.Builder, w.referenceOutput(), in)
		case !given:
		case from.Token != "":
			in[p.Name] = w.value[from.Token]
		case from.Batch != "":
			in[p.Name] = w.batch(from.Batch, types[p.Name])
		default:
			in[p.Name] = w.Fill(from.Value, types[p.Name].DType, types[p.Name].Shape...)
		}
	}
	for name := range l.In {
		if _, ok := types[name]; !ok {
			w.Fail(&op.Error{Pos: l.Pos, Op: l.Objective.Name, Err: fmt.Errorf("has no input %q", name)})
		}
	}
	use := train.Loss{Attr: l.Attr, Y: y, In: in}
	if sum, count = l.Objective.Loss(w.Builder, use); w.t.Phase == Evaluate {
		for _, name := range l.Measures {
			w.report(strings.TrimPrefix(l.Name+"/"+name, "/"), w.Div(l.Objective.Measure(w.Builder, name, use), count))
		}
	}
	return sum, count
}

// report makes an output of a mean.
func (w *lossWriter) report(name string, mean ir.Value) {
	w.Graph.Outputs = append(w.Graph.Outputs, ir.Output{Name: "mean/" + name, Value: mean})
}

// batch is an input of the batch, shared by losses that read it.
func (w *lossWriter) batch(name string, t ir.Type) ir.Value {
	for _, v := range w.Graph.Inputs {
		if v.Node.InputName() == name {
			return v
		}
	}
	return w.Graph.AddInput(name, t, w.Pos)
}

// referenceOutput writes the model as it was when training began: without its
// adapter, whose base weights do not change, or else with weights of its own.
func (w *lossWriter) referenceOutput() ir.Value {
	if w.reference.Valid() || w.Err() != nil {
		return w.reference
	}
	adapted := w.t.Adapter != nil
	all := func(*ir.Node) bool { return true }
	at := w.Include(w.base, all, func(s *ir.State) ir.Value {
		path := s.Path
		if !adapted {
			path = train.ReferencePrefix + path
		}
		for _, have := range w.Graph.States {
			if have.Path == path {
				return have.Read
			}
		}
		return w.Graph.AddState(ir.State{Path: path, Kind: s.Kind, Pos: s.Pos, Init: s.Init}, s.Read.Type()).Read
	})
	w.reference = at[w.base.Outputs[0].Value]
	return w.reference
}
