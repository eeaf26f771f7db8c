package compiler

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/schema"
)

// pruned drops what nothing reads, and inputs too, where the program computes a
// part of the model alone.
func (e *elaborator) pruned() *ir.Graph {
	g := prune(e.Graph)
	if !e.remembers && len(e.opt.Entry.Only) == 0 {
		return g
	}
	uses := countUses(g)
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v ir.Value) bool { return uses[v.Node.ID][v.Out] == 0 })
	return prune(g)
}

// wants reports whether an output is to be computed.
func (e *elaborator) wants(name string) bool {
	only := e.opt.Entry.Only
	return len(only) == 0 || slices.Contains(only, name)
}

// outputs names the results: the model's own, and those asked for by path.
func (e *elaborator) outputs(m *schema.Model) error {
	out, err := e.token(m.Out)
	if err != nil {
		return placed(err, m.Pos, "out")
	}
	entry := e.opt.Entry
	if entry.Encode {
		if !e.remembers {
			return &op.Error{Pos: m.Pos, Op: "out", Err: fmt.Errorf("the model remembers nothing of a source: it has no op.#Memory")}
		}
		return e.Err()
	}
	if entry.Last {
		if t := out.Type(); t.Rank() < 2 {
			return &op.Error{Pos: m.Pos, Op: "out", Err: fmt.Errorf("%v has no axis of positions", t)}
		}
		last := e.Graph.AddInput("last", ir.Type{DType: ir.I32, Shape: out.Type().Shape[:1]}, m.Pos)
		e.Pos = out.Node.Pos
		out = e.Apply("pick", nil, out, last)[0]
	}
	for _, name := range entry.Only {
		if name != m.OutName() && !slices.ContainsFunc(m.Outputs, func(o schema.NamedToken) bool { return o.Name == name }) {
			return &op.Error{Pos: m.Pos, Op: "outputs", Err: fmt.Errorf("the model has no output %q; it has %s", name, strings.Join(m.OutputNames(), ", "))}
		}
	}
	if e.wants(m.OutName()) {
		e.Graph.Outputs = append(e.Graph.Outputs, ir.Output{Name: "out", Value: out})
	}
	for _, o := range m.Outputs {
		if entry.Last || e.opt.Training != nil || o.Name == m.OutName() || !e.wants(o.Name) {
			continue
		}
		v, err := e.token(o.Token)
		if err != nil {
			return placed(err, o.Pos, "outputs")
		}
		e.Graph.Outputs = append(e.Graph.Outputs, ir.Output{Name: o.Name, Value: v})
	}
	for _, path := range entry.Take {
		v, err := e.token(path)
		if err != nil {
			return fmt.Errorf("take: %w", err)
		}
		e.Graph.Outputs = append(e.Graph.Outputs, ir.Output{Name: path, Value: v})
	}
	if err := e.lossOutputs(); err != nil {
		return err
	}
	return e.Err()
}
