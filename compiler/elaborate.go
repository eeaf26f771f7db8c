package compiler

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// elaborator builds the graph of a model, node by node, inputs first.
type elaborator struct {
	*op.Builder
	opt    *Options
	flat   *flat
	done   map[*instance][]ir.Value
	doing  map[*instance]bool
	attrs  map[attrKey]any
	states map[string]ir.Value
	past   ir.Value // input "past", of an incremental run
	spans  bool     // some op goes by how long sequences may get
	// remembers says that the model computes something once for a source.
	remembers bool
	scanning
}

// attrKey finds the attributes of a node, which go by the sizes of the call that
// it stands in.
type attrKey struct {
	node *schema.Node
	call *call
}

// elaborate turns a model's nodes into a graph: weights and caches become
// states under their layer paths, stacks are expanded, and shapes are inferred
// with the names that the document gives them.
func elaborate(c *context, m *schema.Model) (*ir.Graph, error) {
	f, err := flatten(m)
	if err != nil {
		return nil, err
	}
	e := &elaborator{
		Builder: op.NewBuilder(c.table), opt: c.opt, flat: f,
		done: map[*instance][]ir.Value{}, doing: map[*instance]bool{},
		attrs: map[attrKey]any{}, states: map[string]ir.Value{},
	}
	for _, at := range f.ops { // all, so that a mistake in an unused node is told too
		if at.call != nil { // a model that is called may have inputs that it is not given
			continue
		}
		if _, err := e.node(at); err != nil {
			return nil, err
		}
	}
	if err := e.allScans(); err != nil {
		return nil, err
	}
	if err := e.outputs(m); err != nil {
		return nil, err
	}
	c.spans = e.spans
	return e.pruned(), nil
}

// token returns the value that a token names.
func (e *elaborator) token(token string) (ir.Value, error) {
	at, output, err := e.flat.resolve(token)
	if err != nil {
		return ir.Value{}, err
	}
	if at.scan != e.scan || output == lastOutput || at.node.Op == ir.OpStack {
		return e.across(at, output)
	}
	return e.result(at, output)
}

// result is an output of a node.
func (e *elaborator) result(at *instance, output string) (ir.Value, error) {
	values, err := e.node(at)
	if err != nil {
		return ir.Value{}, err
	}
	if output == "" {
		return values[0], nil
	}
	if d, ok := e.Table.Lookup(at.node.Op); ok {
		for i, name := range d.Outputs {
			if name == output {
				return values[i], nil
			}
		}
	}
	return ir.Value{}, fmt.Errorf("node %q has no output %q", at.id, output)
}

// node builds one op, after the ops it reads.
func (e *elaborator) node(at *instance) ([]ir.Value, error) {
	if out, ok := e.done[at]; ok {
		return out, nil
	}
	fail := func(err error) ([]ir.Value, error) {
		return nil, placed(err, at.pos(), at.node.Op)
	}
	if e.doing[at] {
		return fail(fmt.Errorf("reads its own output"))
	}
	e.doing[at] = true
	if at.node.Op == ir.OpInput {
		v, err := e.input(at)
		if err != nil {
			return fail(err)
		}
		e.done[at] = []ir.Value{v}
		return e.done[at], nil
	}
	d, ok := e.Table.Lookup(at.node.Op)
	if !ok {
		return fail(fmt.Errorf("unknown op"))
	}
	attr, err := e.attr(at, d)
	if err != nil {
		return fail(err)
	}
	in, err := e.ports(at, d)
	if err != nil {
		return fail(err)
	}
	if in, err = e.params(at, d, attr, in); err != nil {
		return fail(err)
	}
	if e.around != nil && e.opt.Training != nil && (d.Name == "dropout" || d.Training != "") {
		return fail(fmt.Errorf("differs from step to step while a model learns, which nothing within a scan can; put it before or after"))
	}
	e.Pos = at.pos()
	if d.Remembered {
		v, err := e.remember(at, in[0])
		if err != nil {
			return fail(err)
		}
		e.done[at] = []ir.Value{v}
		return e.done[at], nil
	}
	if in, err = e.incremental(at, d, at.node.Fields, in); err != nil {
		return fail(err)
	}
	if d.Spans != nil {
		spanned := d.Spans(attr, e.length(in))
		e.spans = e.spans || spanned != attr
		attr = spanned
	}
	if d.Inline {
		e.done[at] = e.Meaning(d, e.whole(attr, in), in...)
		return e.done[at], e.Err()
	}
	e.done[at] = e.Apply(d.Name, attr, in...)
	return e.done[at], e.Err()
}

// placed gives an error a place, if it has none.
func placed(err error, pos ir.Pos, name string) error {
	if _, ok := err.(*op.Error); ok {
		return err
	}
	return &op.Error{Pos: pos, Op: name, Err: err}
}

// attr decodes the attributes of an op.
func (e *elaborator) attr(at *instance, d *op.Def) (any, error) {
	key := attrKey{at.node, at.call}
	if attr, ok := e.attrs[key]; ok {
		return attr, nil
	}
	attr, err := d.Decode(at.node.Fields)
	if err == nil && at.call != nil {
		var sizes map[string]ir.Dim
		sizes, err = e.solve(at.call)
		attr = op.Resize(attr, func(d ir.Dim) ir.Dim { return d.Replace(sizes) })
	}
	if err != nil {
		return nil, err
	}
	e.attrs[key] = attr
	return attr, nil
}

// whole has attention make its keys and values of all that was kept where an
// adapter changes the layer that does.
func (e *elaborator) whole(attr any, in []ir.Value) any {
	a, ok := attr.(op.LatentAttentionAttr)
	if w := in[len(in)-1]; ok && e.opt.Adapter != nil && w.Node.Op == ir.OpState {
		_, a.Whole = e.opt.Adapter.Layer(strings.TrimSuffix(w.Node.Attr.(ir.StateAttr).Path, ".weight"))
		return a
	}
	return attr
}

func (e *elaborator) input(at *instance) (ir.Value, error) {
	t, err := ir.ParseType(at.node.Fields["dtype"], at.node.Fields["shape"])
	if err != nil {
		return ir.Value{}, err
	}
	value, ok := at.node.Fields["absent"]
	if c := at.call; c != nil {
		if !ok {
			return ir.Value{}, c.lacks(at.node.ID)
		}
		sizes, err := e.solve(c)
		if err != nil {
			return ir.Value{}, err
		}
		for i, d := range t.Shape {
			t.Shape[i] = d.Replace(sizes)
		}
	}
	if ok && !slices.Contains(e.opt.Entry.Given, at.id) {
		number, _ := value.(json.Number)
		v, err := number.Float64()
		if err != nil || t.DType == ir.I32 && v != math.Trunc(v) {
			return ir.Value{}, fmt.Errorf("absent: %v is no %v", value, t.DType)
		}
		e.Pos = at.pos()
		return e.Apply("fill", op.FillAttr{DType: t.DType.String(), Shape: op.MakeDims(t.Shape...), Value: v})[0], e.Err()
	}
	return e.Graph.AddInput(at.id, t, at.pos()), nil
}

// ports collects the inputs that the document names.
func (e *elaborator) ports(at *instance, d *op.Def) ([]ir.Value, error) {
	var in []ir.Value
	for _, p := range d.Ports {
		x, given := at.node.Fields[p.Name]
		if !given {
			if !p.Optional {
				return nil, fmt.Errorf("%s is missing", p.Name)
			}
			in = append(in, ir.Value{})
			continue
		}
		list, many := x.([]any)
		if !many {
			list = []any{x}
		}
		for _, x := range list {
			text, _ := x.(string)
			v, err := e.token(at.name(text))
			if err != nil {
				return nil, err
			}
			in = append(in, v)
		}
	}
	return in, nil
}

// params appends the weights, as states under the node's checkpoint name.
func (e *elaborator) params(at *instance, d *op.Def, attr any, in []ir.Value) ([]ir.Value, error) {
	if d.Params == nil {
		return in, nil
	}
	params, err := d.Params(ir.TypesOf(in), attr)
	if err != nil {
		return nil, err
	}
	prefix := at.param(at.node.Param)
	if at.node.Tied != "" {
		tied, _, err := e.flat.resolve(at.name(at.node.Tied))
		if err != nil {
			return nil, err
		}
		prefix = tied.param(tied.node.Param)
	}
	for _, p := range params {
		path := strings.TrimPrefix(prefix+"."+p.Name, ".")
		v, err := e.weight(path, p, at.pos())
		if err != nil {
			return nil, err
		}
		in = append(in, v)
	}
	return in, nil
}

func (e *elaborator) weight(path string, p op.Param, pos ir.Pos) (ir.Value, error) {
	t := ir.Type{DType: ir.F32, Shape: p.Shape}
	if e.opt.Weight != nil {
		if d, ok := e.opt.Weight(path); ok {
			t.DType = d
		}
	}
	if e.opt.Blocks != nil && p.Blocks {
		if d, ok := e.opt.Blocks(path, t); ok && t.Blocks(d) {
			t.DType = d
		}
	}
	if e.around != nil {
		v, err := e.around.weight(path, p, pos)
		return e.capture(v), err
	}
	if v, ok := e.states[path]; ok {
		if !v.Type().Equal(t) {
			return v, fmt.Errorf("weight %s is shared, as %v and as %v", path, v.Type(), t)
		}
		return v, nil
	}
	s := e.Graph.AddState(ir.State{Path: path, Kind: ir.Weight, Pos: pos, Init: p.Init, Statistic: p.Statistic}, t)
	e.states[path] = s.Read
	return s.Read, nil
}
