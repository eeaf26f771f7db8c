package compiler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/train"
	"pipe.dev/schema"
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
			if err := e.lossOutput(token); err != nil {
				return &op.Error{Pos: l.Pos, Op: l.Objective.Name, Err: err}
			}
		}
	}
	if b := e.opt.Training.Balance; b != nil {
		if err := e.lossOutput(b.Taken); err != nil {
			return &op.Error{Pos: b.Pos, Op: "balance", Err: err}
		}
	}
	return nil
}

// lossOutput makes an output of what a token names, or a pattern of tokens.
func (e *elaborator) lossOutput(token string) error {
	if token == "" || slices.ContainsFunc(e.Graph.Outputs, func(o ir.Output) bool { return o.Name == token }) {
		return nil
	}
	v, err := e.values(token)
	if err == nil {
		e.Graph.Outputs = append(e.Graph.Outputs, ir.Output{Name: token, Value: v})
	}
	return err
}

// values is what a token names, or, where * stands in it for any characters, the
// values that it matches in the order of the layers, beside each other before
// the last axis: [..., n] become [..., layers, n].
func (e *elaborator) values(token string) (ir.Value, error) {
	if !strings.Contains(token, "*") {
		return e.token(token)
	}
	var rows []ir.Value
	for _, at := range e.flat.ops {
		d, ok := e.Table.Lookup(at.node.Op)
		if !ok {
			continue
		}
		names := []string{at.id}
		for _, output := range d.Outputs {
			names = append(names, at.id+"#"+output)
		}
		for _, name := range names {
			if !train.Match(token, name) {
				continue
			}
			v, err := e.token(name)
			if err != nil {
				return v, err
			}
			e.Pos = at.pos()
			shape := v.Type().Shape
			if len(rows) > 0 && (len(shape) == 0 || !slices.Equal(rows[0].Type().Shape[:len(shape)-1], shape[:len(shape)-1]) || rows[0].Type().Shape[len(shape)] != shape[len(shape)-1]) {
				return v, fmt.Errorf("%q matches values of different shapes, %s among them", token, name)
			}
			last := max(0, len(shape)-1)
			rows = append(rows, e.Reshape(v, slices.Concat(shape[:last], []ir.Dim{ir.D(1)}, shape[last:])...))
		}
	}
	if len(rows) == 0 {
		return ir.Value{}, fmt.Errorf("%q matches no node%s", token, e.flat.near(token))
	}
	return e.Concat(-2, rows...), e.Err()
}

// lossWriter writes a model and its losses with whole ops.
type lossWriter struct {
	*op.Builder
	t           *Training
	model, base *ir.Graph
	value       map[string]ir.Value // of the model, by token; "" is its output
	reference   ir.Value            // output of the reference model, once it is needed
}

// write makes outputs of the sum of each term, and of what it is divided by in
// the end.
func (w *lossWriter) write() {
	all := func(*ir.Node) bool { return true }
	at := w.Lowered(w.model, all)
	w.Graph.Outputs = nil
	if w.Err() != nil {
		return
	}
	w.value = map[string]ir.Value{"": at[w.model.Outputs[0].Value]}
	for _, o := range w.model.Outputs[1:] {
		w.value[o.Name] = at[o.Value]
	}
	for i, l := range w.t.Losses {
		s, n := w.term(l)
		if w.Err() != nil {
			return
		}
		if len(w.t.Losses) > 1 {
			w.report("mean", l.Name, w.Div(s, n))
		}
		w.Graph.Outputs = append(w.Graph.Outputs, ir.Output{Name: termName(i, "sum"), Value: s}, ir.Output{Name: termName(i, "count"), Value: n})
	}
	w.load()
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
	sum, count = l.Objective.Loss(w.Builder, use)
	measures := l.StepMeasures
	if w.t.Phase == Evaluate {
		measures = l.Measures
	}
	for _, name := range measures {
		w.report("measure", strings.TrimPrefix(l.Name+"/"+name, "/"), w.Div(l.Objective.Measure(w.Builder, name, use), count))
	}
	return sum, count
}

// report makes an output of a mean.
func (w *lossWriter) report(kind, name string, mean ir.Value) {
	w.Graph.Outputs = append(w.Graph.Outputs, ir.Output{Name: kind + "/" + name, Value: w.Cast(mean, ir.F32)})
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

// near says which node a pattern may have meant, by its last word.
func (f *flat) near(pattern string) string {
	var words []string
	for id := range f.byID {
		words = append(words, id[strings.LastIndex(id, ".")+1:])
	}
	if s := schema.Suggest(strings.TrimLeft(pattern[strings.LastIndexAny(pattern, ".*")+1:], "."), words); s != "" {
		return " (" + s + ")"
	}
	return ""
}
