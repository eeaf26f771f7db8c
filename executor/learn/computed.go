package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

// computed is a call of a model whose results are computed once for each example,
// before training: the graph then reads them as it reads data.
type computed struct {
	member  *Member
	call    *schema.Node
	given   map[string]data.Field // inputs of the graph, by those of the model
	outputs []string
	fields  []data.Field // that stand for the outputs
	from    []computedSet
	weights int64 // bytes of the model
	work    int64 // bytes of a call
}

// computedSet are the results for some examples.
type computedSet struct {
	of, with *data.Examples
	evaluate bool
	file     string
	done     bool
}

// computedCalls finds the calls whose results are computed once, and refuses what
// may differ from time to time.
func (r *Run) computedCalls(given []data.Field) ([]*computed, error) {
	var list []*computed
	for _, n := range r.model.Calls() {
		name, _ := n.Fields["model"].(string)
		i := slices.IndexFunc(r.Recipe.Models, func(m *Member) bool { return m.Name == name })
		if i < 0 || !r.Recipe.Models[i].Cache {
			continue
		}
		c := &computed{member: r.Recipe.Models[i], call: n, given: map[string]data.Field{}}
		at := c.member.Path() + ".cache"
		if c.member.From == "" || c.member.Adapter != nil || !slices.Contains(c.member.Freeze, "*") {
			return nil, r.mistake(at, "is for a model with from and freeze: [\"*\"], which gives the same of an example at every step")
		}
		with, _ := n.Fields["with"].(map[string]any)
		for _, in := range slices.Sorted(maps.Keys(with)) {
			token, _ := with[in].(string)
			k := slices.IndexFunc(given, func(f data.Field) bool { return f.Name == token })
			if k < 0 {
				return nil, r.mistake(at, "is of a call that reads %s, which is no input of the graph that data give", token)
			}
			if err := r.constant(given[k], at); err != nil {
				return nil, err
			}
			c.given[in] = given[k]
		}
		outputs, _ := n.Fields["outputs"].([]any)
		for _, x := range outputs {
			output, _ := x.(string)
			if !slices.ContainsFunc(c.member.arch.Outputs, func(o schema.NamedToken) bool { return o.Name == output }) {
				return nil, r.mistake(at, "is of a call that wants %q; want outputs that the model names", output)
			}
			c.outputs = append(c.outputs, output)
		}
		if len(c.outputs) == 0 {
			return nil, r.mistake(at, "is of a call without outputs; name those that are wanted")
		}
		list = append(list, c)
	}
	return list, nil
}

// constant refuses an input that is not the same in every epoch.
func (r *Run) constant(f data.Field, at string) error {
	in := f.Images
	switch {
	case f.Drop > 0:
		return r.mistake(at, "keeps one result for each example, and data.texts.%s.drop leaves texts out at random", f.Name)
	case in == nil:
		return nil
	case in.Train.Random() >= 0:
		return r.mistake(at, "keeps one result for each example, and a transform of data.images.%s is random: leave it out", f.Name)
	case in.Buckets != nil:
		return r.mistake(at, "keeps results of one size, and data.images.%s has buckets", f.Name)
	case r.Recipe.Batch.Mix != nil:
		return r.mistake(at, "keeps one result for each example, and data.mix mixes them")
	case len(in.Eval) > 0 && r.Recipe.Train[0].Validation > 0:
		return r.mistake(at, "keeps one result for each example, and data.images.%s has other transforms for those that are kept for validation", f.Name)
	}
	return nil
}

// open makes the plan of the model for one example.
func (c *computed) open(r *Run) (*model.Model, *plan.Plan, error) {
	m, err := model.Open(model.Options{Name: c.member.Path(), Dir: c.member.From, Backend: r.opt.Backend, Compile: r.opt.Forward, Warn: r.opt.Warn})
	if err != nil {
		return nil, nil, err
	}
	wants, err := m.Inputs()
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	sizes := map[string]int{}
	for name, f := range c.given {
		have := append([]int{1}, f.Shape...)
		for i, d := range wants[name].Shape {
			if !d.Known() && i < len(have) {
				sizes[d.Syms] = have[i] / d.N
			}
		}
	}
	p, err := m.Call(sizes, c.outputs, nil, slices.Collect(maps.Keys(c.given))...)
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return m, p, nil
}

// settle finds the fields that stand for the results.
func (c *computed) settle(r *Run) error {
	m, p, err := c.open(r)
	if err != nil {
		return err
	}
	c.weights, c.work = m.StateBytes(ir.Weight), m.WorkBytes()
	types := map[string]ir.Type{}
	for _, t := range m.Results(p) {
		types[t.Name] = t.Type
	}
	for _, name := range c.outputs {
		t := types[name]
		if t.DType != ir.F32 || t.Sizes()[0] != 1 {
			return errors.Join(r.mistake(c.member.Path()+".cache", "keeps f32 [batch, ...], and %s is %v", name, t), m.Close())
		}
		c.fields = append(c.fields, data.Field{Name: c.call.ID + "." + name, DType: ir.F32, Width: t.Elems(), Shape: t.Sizes()[1:], Names: make([]string, len(t.Shape)-1)})
	}
	return m.Close()
}

// compute puts what is computed once in the place of the calls: into the examples,
// and, if it is not nil, into those of evaluations, which have transforms of their own.
func (r *Run) compute(given []data.Field, examples, evaluations *data.Examples) (*data.Examples, *data.Examples, error) {
	list, err := r.computedCalls(given)
	if err != nil || len(list) == 0 || r.opt.Forward == nil { // shown, they are what the files hold
		return examples, evaluations, err
	}
	if err := r.openBases(); err != nil {
		return nil, nil, err
	}
	calls := map[string][]schema.Node{}
	for _, c := range list {
		if err := c.settle(r); err != nil {
			return nil, nil, err
		}
		for i, f := range c.fields {
			calls[c.call.ID] = append(calls[c.call.ID], inputNodes(f, c.call, c.outputs[i])...)
		}
	}
	next := *r.model
	next.Group = *withInputs(&r.model.Group, calls)
	var unread []string
	for _, f := range given {
		if !r.reads(&next, f.Name) {
			unread = append(unread, f.Name)
			calls[f.Name] = []schema.Node{}
		}
	}
	next.Group = *withInputs(&r.model.Group, calls)
	sets := []*data.Examples{examples, evaluations}
	for i, from := range sets {
		if from == nil {
			continue
		}
		var fields []data.Field
		keys := ""
		for _, c := range list {
			key, err := c.key(from, i == 1)
			if err != nil {
				return nil, nil, err
			}
			fields, keys = append(fields, c.fields...), keys+key
			c.from = append(c.from, computedSet{of: from, evaluate: i == 1, file: filepath.Join(r.opt.Root, ".computed", key+".safetensors")})
		}
		if sets[i], err = from.Computed(unread, fields, keys); err != nil {
			return nil, nil, r.placed("data", err)
		}
		for _, c := range list {
			c.from[len(c.from)-1].with = sets[i]
		}
	}
	r.model, r.computed = &next, list
	return sets[0], sets[1], nil
}

// inputNodes are the input that a result of a call becomes, and what stands for the
// call's token.
func inputNodes(f data.Field, call *schema.Node, output string) []schema.Node {
	shape := []any{"batch"}
	for _, n := range f.Shape {
		shape = append(shape, json.Number(fmt.Sprint(n)))
	}
	return []schema.Node{
		{ID: f.Name, Op: ir.OpInput, Fields: map[string]any{"dtype": "f32", "shape": shape}, Pos: call.Pos},
		{ID: call.ID + "#" + output, Op: ir.OpInput, Fields: map[string]any{"from": f.Name}, Pos: call.Pos},
	}
}

// withInputs is a group with inputs in the place of some of its nodes, by their ids.
func withInputs(g *schema.Group, replaced map[string][]schema.Node) *schema.Group {
	out := *g
	out.Nodes = nil
	for _, n := range g.Nodes {
		if inputs, ok := replaced[n.ID]; ok {
			out.Nodes = append(out.Nodes, inputs...)
			continue
		}
		if n.Group != nil {
			n.Group = withInputs(n.Group, replaced)
		}
		out.Nodes = append(out.Nodes, n)
	}
	return &out
}

// reads reports whether anything of a graph, or a loss, reads a token.
func (r *Run) reads(m *schema.Model, token string) bool {
	fields := r.doc.Recipe.Fields
	return mentions(fields["objective"], token) || mentions(fields["phases"], token) || mentions(fields["balance"], token) || groupReads(&m.Group, token) ||
		slices.ContainsFunc(m.Outputs, func(o schema.NamedToken) bool { return o.Token == token })
}

func groupReads(g *schema.Group, token string) bool {
	return g.Out == token || slices.ContainsFunc(g.Nodes, func(n schema.Node) bool {
		if n.Group != nil && groupReads(n.Group, token) || mentions(n.Fields, token) {
			return true
		}
		return n.Repeat != nil && (n.Repeat.X == token || slices.Contains(slices.Collect(maps.Values(n.Repeat.Beside)), token) ||
			slices.ContainsFunc(slices.Collect(maps.Values(n.Repeat.Bodies)), func(b *schema.Group) bool { return groupReads(b, token) }))
	})
}

// mentions reports whether a value holds a token.
func mentions(x any, token string) bool {
	switch x := x.(type) {
	case string:
		return x == token
	case []any:
		return slices.ContainsFunc(x, func(y any) bool { return mentions(y, token) })
	case map[string]any:
		for _, y := range x {
			if mentions(y, token) {
				return true
			}
		}
	}
	return false
}
