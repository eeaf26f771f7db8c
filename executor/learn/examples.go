package learn

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
)

// ofNumbers reports whether a recipe learns from examples of numbers, not from
// text.
func (r *Recipe) ofNumbers() bool {
	return slices.ContainsFunc(r.Train, func(a data.Attr) bool { return a.Format == data.Columns })
}

// randoms decodes the inputs of random numbers.
func (d *decoder) randoms(x any) map[string]data.RandomAttr {
	m, _ := x.(map[string]any)
	out := map[string]data.RandomAttr{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fields, _ := m[name].(map[string]any)
		a, err := attr.Decode(data.RandomAttr{}, fields)
		if err != nil {
			d.fail("data.random."+name, err)
			return out
		}
		out[name] = a.(data.RandomAttr)
	}
	return out
}

// modelInputs are the inputs of the model: what examples give, and random numbers.
func (r *Run) modelInputs() (given []data.Field, random []data.Random, err error) {
	var names []string
	for _, n := range r.model.Nodes {
		if n.Op != ir.OpInput {
			continue
		}
		names = append(names, n.ID)
		f, err := inputField(n.ID, n.Fields)
		if err != nil {
			e := r.mistake("model.graph.nodes."+n.ID, "%v", err)
			return nil, nil, e
		}
		if a, ok := r.Recipe.Random[n.ID]; ok {
			if a.Kind != "normal" && !(a.High > a.Low) {
				return nil, nil, r.mistake("data.random."+n.ID+".high", "is %v, want more than low, %v", a.High, a.Low)
			}
			random = append(random, data.Random{Field: f, RandomAttr: a})
		} else {
			given = append(given, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Random)) {
		if !slices.Contains(names, name) {
			return nil, nil, r.mistake("data.random."+name, "is no input of the model; its inputs are %v", names)
		}
	}
	return given, random, nil
}

// inputField describes an input [batch, ...] of f32 or i32.
func inputField(name string, fields map[string]any) (data.Field, error) {
	text, _ := fields["dtype"].(string)
	d, err := ir.ParseDType(text)
	if err != nil {
		return data.Field{}, err
	}
	if d != ir.F32 && d != ir.I32 {
		return data.Field{}, fmt.Errorf("dtype is %v; examples give f32 and i32", d)
	}
	f := data.Field{Name: name, DType: d, Width: 1}
	shape, _ := fields["shape"].([]any)
	for i, x := range shape {
		if text, ok := x.(string); i == 0 {
			if !ok || text != "batch" {
				return f, fmt.Errorf("shape begins with %v; want \"batch\"", x)
			}
			continue
		}
		n, ok := x.(json.Number)
		size, err := n.Int64()
		if !ok || err != nil || size < 1 {
			return f, fmt.Errorf("shape has %v; want numbers after \"batch\"", x)
		}
		f.Width *= int(size)
	}
	if len(shape) == 0 {
		return f, fmt.Errorf("shape is empty; want [\"batch\", ...]")
	}
	return f, nil
}

// openExamples reads the examples.
func (r *Run) openExamples() error {
	for i, a := range slices.Concat(r.Recipe.Train, r.Recipe.Eval) {
		if a.Format != data.Columns {
			path := fmt.Sprintf("data.train.%d.format", i)
			if n := len(r.Recipe.Train); i >= n {
				path = fmt.Sprintf("data.eval.%d.format", i-n)
			}
			return r.mistake(path, "is %q, and other sources give numbers", a.Format)
		}
	}
	if r.Recipe.Model.From != "" || r.model.Arch != "" {
		return r.mistake("data.train.0.format", "is \"columns\", and the model reads text")
	}
	given, random, err := r.modelInputs()
	if err != nil {
		return err
	}
	r.random = random
	o := data.Options{Report: r.opt.Warn}
	all, err := data.OpenExamples(r.Recipe.Train, given, o)
	if err != nil {
		return r.placed("data.train.0", err)
	}
	r.examples, r.evalExamples = all.Split(r.Recipe.Train[0].Validation)
	if r.examples.Len() == 0 {
		return r.mistake(r.keeper(), "leaves nothing to train on of %d examples", all.Len())
	}
	if len(r.Recipe.Eval) > 0 {
		if r.evalExamples, err = data.OpenExamples(r.Recipe.Eval, given, o); err != nil {
			return r.placed("data.eval.0", err)
		}
	}
	if o, need := r.Recipe.Batch, r.Recipe.Steps.Steps*r.Recipe.Steps.Accumulate; o.Epochs > 0 && r.examples.Len()*o.Epochs/o.Batch < need {
		return r.mistake("train.steps", "is %d, and %d examples end after %d with batch.epochs: %d", r.Recipe.Steps.Steps,
			r.examples.Len(), r.examples.Len()*o.Epochs/o.Batch/r.Recipe.Steps.Accumulate, o.Epochs)
	}
	return nil
}

// evalRows is how many rows the batches of an evaluation have: the last may
// have fewer.
func (r *Run) evalRows() []int {
	batch := r.Recipe.Batch.Batch
	n := r.evalExamples.Len()
	if most := r.Recipe.Evaluate.Batches * batch; most > 0 && n >= most {
		n = most
	}
	var out []int
	if n >= batch {
		out = append(out, batch)
	}
	if n%batch > 0 {
		out = append(out, n%batch)
	}
	return out
}

// showExamples writes the first batches: each input's first numbers.
func (r *Run) showExamples(w io.Writer, s data.ShowOptions) error {
	l, err := r.examples.Batches(r.Recipe.Batch, r.random, data.Position{})
	if err != nil {
		return err
	}
	given, _, err := r.modelInputs()
	if err != nil {
		return err
	}
	fields := given
	for _, x := range r.random {
		fields = append(fields, x.Field)
	}
	return data.ShowExamples(w, l, fields, s)
}

// dataName is the first file of the training data.
func (r *Run) dataName() string {
	if r.examples != nil {
		return r.examples.Name()
	}
	return r.train.Name()
}
