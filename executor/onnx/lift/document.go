package lift

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Document writes the model as a document: the model, and a pipeline that calls
// it once with tensors from files. The text is CUE, not yet laid out. name is what
// the pipeline is called, comment what stands at the top.
func (m *Model) Document(name, comment string) ([]byte, error) {
	w := &writer{m: m}
	for line := range strings.Lines(comment) {
		w.linef("// %s", strings.TrimSpace(line))
	}
	w.linef("package model\n")
	w.linef("import (\n%q\n%q\n)\n", "pipe.dev/schema/op", "pipe.dev/schema/pipeline")
	w.linef("model: op.#Model & {\nnodes: {")
	for _, n := range m.Graph.Nodes {
		if n.Op == ir.OpState {
			continue
		}
		if err := w.node(n); err != nil {
			return nil, fmt.Errorf("node %s: %w", m.Names[n], err)
		}
	}
	w.linef("}\nout: %s\noutputs: {", w.token(m.Graph.Outputs[0].Value))
	for _, o := range m.Graph.Outputs {
		w.linef("%s: %s", label(o.Name), w.token(o.Value))
	}
	w.linef("}\n}\n")
	w.pipeline(name)
	return w.text, nil
}

type writer struct {
	m    *Model
	text []byte
}

func (w *writer) linef(format string, args ...any) {
	w.text = append(fmt.Appendf(w.text, format, args...), '\n')
}

var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// label is a name as a field.
func label(name string) string {
	if word.MatchString(name) && !slices.Contains([]string{"op", "pipeline", "true", "false", "null", "for", "in", "if", "let", "import", "package"}, name) {
		return name
	}
	return strconv.Quote(name)
}

// field selects a field of a struct.
func field(of, name string) string {
	if word.MatchString(name) {
		return of + "." + name
	}
	return of + "[" + strconv.Quote(name) + "]"
}

// token refers to a value.
func (w *writer) token(v ir.Value) string {
	node := field("nodes", w.m.Names[v.Node])
	if d, ok := w.m.table.Lookup(v.Node.Op); ok && len(d.Outputs) > 0 && v.Out > 0 {
		return node + ".outs." + d.Outputs[v.Out]
	}
	return node + ".out"
}

func (w *writer) node(n *ir.Node) error {
	name := label(w.m.Names[n])
	if n.Op == ir.OpInput {
		t := n.Types[0]
		set := []string{}
		if t.DType != ir.F32 {
			set = append(set, fmt.Sprintf("dtype: %q", t.DType))
		}
		shape, err := attr.Encode(op.ReshapeAttr{Shape: op.MakeDims(t.Shape...)})
		if err != nil {
			return err
		}
		w.linef("%s: op.#Input & {%s}", name, strings.Join(append(set, "shape: "+shape[0].CUE), ", "))
		return nil
	}
	d, ok := w.m.table.Lookup(n.Op)
	if !ok || d.Title == "" {
		return fmt.Errorf("documents have no op %s", n.Op)
	}
	var set []string
	in := n.In
	for i, p := range d.Ports {
		switch {
		case p.Variadic:
			var list []string
			for _, v := range in[i:] {
				list = append(list, w.token(v))
			}
			set = append(set, fmt.Sprintf("%s: [%s]", p.Name, strings.Join(list, ", ")))
		case in[i].Valid():
			set = append(set, p.Name+": "+w.token(in[i]))
		}
	}
	fields, err := attr.Encode(n.Attr)
	if err != nil {
		return err
	}
	for _, f := range fields {
		set = append(set, f.Name+": "+f.CUE)
	}
	if d.Params != nil && len(in) > len(d.Ports) {
		prefix, _ := cut(in[len(d.Ports)].Node.Attr.(ir.StateAttr).Path)
		if prefix != w.m.Names[n] {
			set = append(set, fmt.Sprintf("param: %q", prefix))
		}
	}
	w.linef("%s: op.#%s & {%s}", name, d.Title, strings.Join(set, ", "))
	return nil
}

// pipeline calls the model once.
func (w *writer) pipeline(name string) {
	w.linef("run: pipeline.#Pipeline & {\nname: %q\ninputs: {", name)
	var with []string
	for _, v := range w.m.Graph.Inputs {
		in := w.m.Names[v.Node]
		w.linef("// %v\n%s: type: \"tensor\"", v.Type(), label(in))
		with = append(with, fmt.Sprintf("%s: %s.out", label(in), field("inputs", in)))
	}
	w.linef("}\nmodels: model: from: \"{here}\"")
	w.linef("nodes: run: pipeline.#Run & {\nmodel: models.model.out\nwith: {%s}\n}", strings.Join(with, ", "))
	w.linef("outputs: tensors: {from: nodes.run.out, type: \"tensors\"}\n}")
}
