package train

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Objective defines what training makes small: a sum and the count that it is
// divided by in the end. So that micro-batches add up to what one big batch
// gives, gradients of the sums are added and divided by all counts together.
type Objective struct {
	Def
	Output string  // the layout of the model's output: "[..., vocab]"
	Inputs []Input // of the batch, besides the model's own
	Pairs  bool    // rows of a batch belong together, row 2i and row 2i+1
	// Ignores says that some rows may count nothing, as their targets say.
	Ignores bool
	// Measures are what an evaluation may report besides the loss.
	Measures []Measure
	// loss writes the sum and the count; y has at least f32 precision.
	loss func(b *op.Builder, l Loss) (sum, count ir.Value)
}

// Measure is a mean over what the loss is a mean over.
type Measure struct {
	Name, Doc string
	sum       func(b *op.Builder, l Loss) ir.Value
}

// Input is data of a batch, or another output of the model: gradients flow
// through it where it depends on weights.
type Input struct {
	Name, Doc string
	DType     ir.DType
	Layout    string // "[...]", for readers
	Optional  bool
	// Shape gives the shape for an output of shape y.
	Shape func(y []ir.Dim) ([]ir.Dim, error)
	// Reference, if set, computes it from the output of the model as it was when
	// training began; in holds the inputs before it.
	Reference func(b *op.Builder, y ir.Value, in map[string]ir.Value) ir.Value
}

// Loss is one use of an objective.
type Loss struct {
	Attr any
	Y    ir.Value            // the model's output
	In   map[string]ir.Value // by Input.Name; optional ones may be missing
}

// Types gives the types of the inputs for an output of type y.
func (o *Objective) Types(y ir.Type) (map[string]ir.Type, error) {
	out := map[string]ir.Type{}
	for _, in := range o.Inputs {
		shape, err := in.Shape(y.Shape)
		if err != nil {
			return nil, fmt.Errorf("%s: output is %v; want %s: %w", o.Name, y, o.Output, err)
		}
		out[in.Name] = ir.Type{DType: in.DType, Shape: shape}
	}
	return out, nil
}

// Loss writes the sum and the count, scalars of at least f32. Errors stick to b.
func (o *Objective) Loss(b *op.Builder, l Loss) (sum, count ir.Value) {
	if l = o.widened(b, l); b.Err() != nil {
		return l.Y, l.Y
	}
	return o.loss(b, l)
}

// Measure writes the sum of one of the objective's measures, whose mean has the
// count of Loss. Errors stick to b.
func (o *Objective) Measure(b *op.Builder, name string, l Loss) (sum ir.Value) {
	if l = o.widened(b, l); b.Err() != nil {
		return l.Y
	}
	var names []string
	for _, m := range o.Measures {
		if m.Name == name {
			return m.sum(b, l)
		}
		names = append(names, m.Name)
	}
	b.Fail(&op.Error{Pos: b.Pos, Op: o.Name, Err: fmt.Errorf("has no measure %q; it has %v", name, names)})
	return l.Y
}

// widened checks a use and gives it at least f32 precision.
func (o *Objective) widened(b *op.Builder, l Loss) Loss {
	if b.Err() != nil {
		return l
	}
	if err := o.fits(l); err != nil {
		b.Fail(&op.Error{Pos: b.Pos, Op: o.Name, Err: err})
		return l
	}
	wide := wideType(l.Y.Type()).DType
	l.Y = b.Cast(l.Y, wide)
	in := map[string]ir.Value{}
	for name, v := range l.In {
		if v.Type().DType.Float() {
			v = b.Cast(v, wide)
		}
		in[name] = v
	}
	l.In = in
	return l
}

func (o *Objective) fits(l Loss) error {
	if !l.Y.Type().DType.Float() {
		return fmt.Errorf("output is %v; want floating-point numbers", l.Y.Type())
	}
	types, err := o.Types(l.Y.Type())
	if err != nil {
		return err
	}
	for _, in := range o.Inputs {
		v, ok := l.In[in.Name]
		if !ok || !v.Valid() {
			if in.Optional {
				continue
			}
			return fmt.Errorf("input %s is missing", in.Name)
		}
		want := types[in.Name]
		if have := v.Type(); have.DType.Float() != want.DType.Float() || !slices.Equal(have.Shape, want.Shape) {
			return fmt.Errorf("input %s is %v, want %v for the output %v", in.Name, have, want, l.Y.Type())
		}
	}
	for name := range l.In {
		if _, ok := types[name]; !ok {
			return fmt.Errorf("has no input %s", name)
		}
	}
	return nil
}

func (o *Objective) complete() error {
	if o.loss == nil || o.Output == "" {
		return fmt.Errorf("need Output and loss")
	}
	for _, in := range o.Inputs {
		if in.Name == "" || in.Doc == "" || in.Layout == "" || in.Shape == nil || in.DType == ir.Invalid {
			return fmt.Errorf("input %q: need Name, Doc, DType, Layout and Shape", in.Name)
		}
	}
	for _, m := range o.Measures {
		if m.Name == "" || m.Doc == "" || m.sum == nil {
			return fmt.Errorf("measure %q: need Name, Doc and sum", m.Name)
		}
	}
	return nil
}

func (o *Objective) rows() []attr.Row {
	out := []attr.Row{{Label: "output", Doc: "what the model gives", Note: "`" + o.Output + "`"}}
	for _, in := range o.Inputs {
		need := "must be given"
		if in.Optional {
			need = "may be left out"
		}
		out = append(out, attr.Row{Label: "input `" + in.Name + "`", Doc: in.Doc, Note: "`" + in.DType.String() + " " + in.Layout + "`", Default: need})
	}
	for _, m := range o.Measures {
		out = append(out, attr.Row{Label: "measure `" + m.Name + "`", Doc: m.Doc, Note: "evaluation", Default: "when asked for"})
	}
	return out
}

// The shapes of inputs.

// same is the output's shape.
func same(y []ir.Dim) ([]ir.Dim, error) { return y, nil }

// rowsOf is the output's shape without its last axis.
func rowsOf(y []ir.Dim) ([]ir.Dim, error) {
	if len(y) == 0 {
		return nil, fmt.Errorf("it has no axes")
	}
	return y[:len(y)-1], nil
}

// element says one weight for each element of the output.
func element() Input {
	return Input{Name: "weights", Doc: "how much each element counts; all count 1 without", DType: ir.F32, Layout: "[...]", Optional: true, Shape: same}
}

// perRow says one weight for each row of the output.
func perRow() Input {
	return Input{Name: "weights", Doc: "how much each row counts; all count 1 without", DType: ir.F32, Layout: "[...]", Optional: true, Shape: rowsOf}
}

// likeOutput is a tensor of the output's type.
func likeOutput(name, doc, layout string) Input {
	return Input{Name: name, Doc: doc, DType: ir.F32, Layout: layout, Shape: same}
}

// total adds up loss, each element times its weight, and the weights.
func total(b *op.Builder, loss ir.Value, l Loss) (sum, count ir.Value) {
	w, ok := l.In["weights"]
	if !ok || !w.Valid() {
		return b.Sum(loss, false), b.Count(loss, loss.Type().Shape...)
	}
	return b.Sum(b.Mul(loss, w), false), b.Sum(w, false)
}

// lastKnown returns the size of the last axis, which must be a number.
func lastKnown(b *op.Builder, name string, y ir.Value) int {
	shape := y.Type().Shape
	if n := len(shape); n == 0 || !shape[n-1].Known() {
		b.Fail(&op.Error{Pos: b.Pos, Op: name, Err: fmt.Errorf("output is %v; want a last axis of known size", y.Type())})
		return 1
	}
	return shape[len(shape)-1].N
}

// column returns y's shape with a last axis of size 1.
func column(y ir.Value) []ir.Dim {
	shape := y.Type().Shape
	return replaced(shape, len(shape)-1, ir.D(1))
}
