package compiler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// call is one call of a model by the graph of another. Its nodes are nodes of
// that graph, whose ids begin with the id of the call; its weights are those of
// the model, by whose name their paths begin, however often it is called.
type call struct {
	id    string
	model string // its name in the document
	node  *schema.Node
	at    where                   // of the call itself
	reads map[string]*schema.Node // the inputs of the model that are given, by name
	sizes map[string]ir.Dim       // what its named sizes are in the graph around; nil until they are known
}

// called adds the nodes of a model that a node calls.
func (f *flat) called(n *schema.Node, id string, p where) error {
	fail := func(format string, args ...any) error {
		return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf(format, args...)}
	}
	c := &call{id: id, node: n, at: p, reads: map[string]*schema.Node{}}
	c.model, _ = n.Fields["model"].(string)
	switch {
	case p.call != nil:
		return fail("a model that is called calls none itself")
	case n.Called == nil:
		return fail("there is no model %q to call; a recipe names them in models", c.model)
	}
	with, _ := n.Fields["with"].(map[string]any)
	var names []string
	for _, in := range n.Called.Inputs() {
		names = append(names, in.ID)
		if token, ok := with[in.ID].(string); ok {
			f.alias[id+"."+in.ID] = p.name(token)
			c.reads[in.ID] = in
		}
	}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if !slices.Contains(names, name) {
			return fail("%s has no input %q; its inputs are %s%s", c.model, name, strings.Join(names, ", "), suffix(schema.Suggest(name, names)))
		}
	}
	if err := f.results(c); err != nil {
		return err
	}
	return f.group(withoutInputs(&n.Called.Group, c.reads), where{call: c, scan: p.scan})
}

// results makes tokens of what the call gives: the model's output, its outputs
// by name, and nodes of it by their paths.
func (f *flat) results(c *call) error {
	m, inner := c.node.Called, where{call: c}
	f.alias[c.id] = inner.name(m.Out)
	outputs, _ := c.node.Fields["outputs"].([]any)
	for _, x := range outputs {
		name, _ := x.(string)
		token := name
		if name == m.OutName() {
			token = m.Out
		}
		for _, o := range m.Outputs {
			if o.Name == name {
				token = o.Token
			}
		}
		f.alias[c.id+"#"+name] = inner.name(token)
	}
	return nil
}

// withoutInputs is a group without the inputs that a call gives.
func withoutInputs(g *schema.Group, given map[string]*schema.Node) *schema.Group {
	out := *g
	out.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n schema.Node) bool { return n.Op == ir.OpInput && given[n.ID] != nil })
	for i, n := range out.Nodes {
		if n.Group != nil {
			out.Nodes[i].Group = withoutInputs(n.Group, given)
		}
	}
	return &out
}

// lacks is the error of a node that reads an input which the call does not give.
func (c *call) lacks(input string) error {
	return &op.Error{Pos: c.node.Pos, Op: c.node.Op, Err: fmt.Errorf("%s reads its input %s, which with does not give", c.model, input)}
}

// solve finds what the named sizes of a called model are, by what it is given:
// sizes that are a number times a name settle that name, the others must agree.
func (e *elaborator) solve(c *call) (map[string]ir.Dim, error) {
	if c.sizes != nil {
		return c.sizes, nil
	}
	sizes, wants, haves := map[string]ir.Dim{}, map[string]ir.Type{}, map[string]ir.Type{}
	names := slices.Sorted(maps.Keys(c.reads))
	fail := func(name, format string, args ...any) error {
		return &op.Error{Pos: c.node.Pos, Op: c.node.Op, Err: fmt.Errorf("input %s of %s %s", name, c.model, fmt.Sprintf(format, args...))}
	}
	for _, name := range names {
		want, err := ir.ParseType(c.reads[name].Fields["dtype"], c.reads[name].Fields["shape"])
		if err != nil {
			return nil, fail(name, "%v", err)
		}
		v, err := e.token(c.id + "." + name)
		if err != nil {
			return nil, err
		}
		have := v.Type()
		if have.DType != want.DType || have.Rank() != want.Rank() {
			return nil, fail(name, "is %v, want %v", have, want)
		}
		for i, d := range want.Shape {
			bindSize(d, have.Shape[i], sizes)
		}
		wants[name], haves[name] = want, have
	}
	for _, name := range names {
		for i, d := range wants[name].Shape {
			for _, s := range d.Names() {
				if _, ok := sizes[s]; !ok {
					return nil, fail(name, "is %v, want %v, and nothing that is given tells what %s is", haves[name], wants[name], s)
				}
			}
			if d.Replace(sizes) != haves[name].Shape[i] {
				return nil, fail(name, "is %v, want %v%s", haves[name], wants[name], known(sizes))
			}
		}
	}
	c.sizes = sizes
	return sizes, nil
}

// bindSize gives the name in want a size, by which it equals have, if want is a
// number times a name that has none yet.
func bindSize(want, have ir.Dim, sizes map[string]ir.Dim) {
	if names := want.Names(); len(names) != 1 || names[0] != want.Syms {
		return
	}
	if _, ok := sizes[want.Syms]; ok {
		return
	}
	if size, ok := have.Div(ir.D(want.N)); ok {
		sizes[want.Syms] = size
	}
}

// known tells sizes that inputs have settled.
func known(sizes map[string]ir.Dim) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		list = append(list, fmt.Sprintf("%s is %v", name, sizes[name]))
	}
	if len(list) == 0 {
		return ""
	}
	return ", where " + strings.Join(list, ", ")
}

func suffix(hint string) string {
	if hint == "" {
		return ""
	}
	return " (" + hint + ")"
}
