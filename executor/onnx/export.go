package onnx

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Opset is the version of ONNX's operations that Export writes, and
// exportedIR the version of the format that goes with it.
const (
	Opset      = 20
	exportedIR = 9
)

// largest is how many bytes a file may have: protocol buffers count in 31 bits.
const largest = 1<<31 - 1<<24

// Export is a graph to be written as an ONNX file.
//
// Sizes that have names keep them: the file runs for any of them. Weights are
// initializers under their paths, with the bytes that Weight gives. Integer
// inputs are int64, as programs that run ONNX give them.
type Export struct {
	Name     string
	Graph    *ir.Graph // lowered for Target: see Supports
	Metadata map[string]string
	Producer string // version of the program that writes
	// Outputs renames results of the graph; nil renames none.
	Outputs map[string]string
	// Weight writes the values of a state in its type, row-major.
	Weight func(s *ir.State, w io.Writer) error
	// Beside, if not "", is the file next to the model's that takes the values
	// of weights.
	Beside string

	x *exporter
}

// weightPlace is where the values of weights lie.
type weightPlace struct {
	state *ir.State
	head  encoded // of its TensorProto, but for the values
	size  int64   // of the values, bytes
	at    int64   // in the other file
}

// Prepare translates the graph. Every error is told here, before anything is
// written: an operation that ONNX lacks by its name.
func (e *Export) Prepare() error {
	x := newExporter(e.Graph)
	if err := x.graph(e.Outputs); err != nil {
		return err
	}
	e.x = x
	if size := e.x.bytes(); e.Beside == "" && size > largest {
		return &TooLargeError{Bytes: size}
	}
	return nil
}

// TooLargeError says that one file can't hold the weights.
type TooLargeError struct{ Bytes int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("would have %d bytes, and one ONNX file holds 2 GiB: its weights must lie beside it", e.Bytes)
}

// apart is where weights begin in another file: at whole pages, so that they
// can be mapped.
const apart = 4096

// small weights stay in the model's file, whatever Beside says.
const small = 1024

// Write writes the file, and, if there is one, that of the weights. Prepare
// must have been called.
func (e *Export) Write(w, beside io.Writer) error {
	places := e.places()
	graph := e.x.body(e.Name)
	size := int64(len(graph))
	for i := range places {
		p := &places[i]
		var field encoded
		field.open(5, p.length())
		size += int64(len(field)) + p.length()
	}
	var head encoded
	head.number(1, exportedIR)
	head.text(2, "pipe")
	head.text(3, e.Producer)
	var set encoded
	set.text(1, "")
	set.number(2, Opset)
	head.part(8, set)
	for _, k := range slices.Sorted(maps.Keys(e.Metadata)) {
		head.pair(14, k, e.Metadata[k])
	}
	head.open(7, size)
	if _, err := w.Write(append(head, graph...)); err != nil {
		return err
	}
	for i := range places {
		if err := e.weight(w, beside, &places[i]); err != nil {
			return err
		}
	}
	return nil
}

// places lists the weights, in the order in which the graph has them.
func (e *Export) places() []weightPlace {
	var list []weightPlace
	at := int64(0)
	for _, s := range e.Graph.States {
		t := s.Read.Type()
		p := weightPlace{state: s, head: tensorHead(e.x.weights[s.Read.Node], t), size: t.Bytes(), at: -1}
		if e.Beside != "" && p.size > small {
			p.at = (at + apart - 1) / apart * apart
			at = p.at + p.size
			p.head.pair(13, "location", e.Beside)
			p.head.pair(13, "offset", fmt.Sprint(p.at))
			p.head.pair(13, "length", fmt.Sprint(p.size))
			p.head.number(14, 1)
		} else {
			p.head.open(9, p.size)
		}
		list = append(list, p)
	}
	return list
}

// length is that of the whole TensorProto.
func (p *weightPlace) length() int64 {
	if p.at >= 0 {
		return int64(len(p.head))
	}
	return int64(len(p.head)) + p.size
}

// weight writes one initializer, its values here or beside.
func (e *Export) weight(w, beside io.Writer, p *weightPlace) error {
	var field encoded
	field.open(5, p.length())
	if _, err := w.Write(append(field, p.head...)); err != nil {
		return err
	}
	to := w
	if p.at >= 0 {
		to = beside
		if gap := p.at - e.x.beside; gap > 0 {
			if _, err := beside.Write(make([]byte, gap)); err != nil {
				return err
			}
		}
		e.x.beside = p.at + p.size
	}
	c := &counter{w: to}
	if err := e.Weight(p.state, c); err != nil {
		return err
	}
	if c.n != p.size {
		return fmt.Errorf("weight %s has %d bytes, want %d", p.state.Path, c.n, p.size)
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// exporter translates one graph.
type exporter struct {
	g       *ir.Graph
	nodes   []step
	inputs  []encoded
	outputs []encoded
	values  map[ir.Value]string
	weights map[*ir.Node]string
	names   map[string]int    // that are taken, and how often
	known   map[string]string // constants and sizes that were written, by what they are
	renamed map[string]string // names of values that are results of the graph
	path    string            // of the node that is translated
	beside  int64             // bytes of the other file so far
	err     error
}

func newExporter(g *ir.Graph) *exporter {
	return &exporter{g: g, values: map[ir.Value]string{}, weights: map[*ir.Node]string{}, names: map[string]int{}, known: map[string]string{}, renamed: map[string]string{}}
}

// graph translates all nodes.
func (x *exporter) graph(rename map[string]string) error {
	for _, in := range x.g.Inputs { // these keep their names
		x.names[in.Node.InputName()] = 1
	}
	outs := make([]string, len(x.g.Outputs))
	for i, o := range x.g.Outputs {
		outs[i] = o.Name
		if to, ok := rename[o.Name]; ok {
			outs[i] = to
		}
		outs[i] = x.unique(outs[i])
	}
	for _, s := range x.g.States {
		if s.Kind != ir.Weight || s.Next.Valid() {
			return fmt.Errorf("%s is a %s that a run changes: only whole sequences are exported", s.Path, s.Kind)
		}
		x.weights[s.Read.Node] = x.unique(strings.ReplaceAll(s.Path, ".{e}", "")) // a stack of all experts
	}
	for _, n := range x.g.Nodes {
		if err := x.translate(n); err != nil {
			return err
		}
	}
	made := map[string]bool{}
	for _, n := range x.nodes {
		for _, name := range n.out {
			made[name] = true
		}
	}
	for i, o := range x.g.Outputs {
		have := x.values[o.Value]
		if made[have] && x.renamed[have] == "" {
			x.renamed[have] = outs[i]
		} else { // an input or weight, or a second name
			x.path = outs[i]
			x.emit("Identity", []string{have}, []string{outs[i]})
		}
		x.outputs = append(x.outputs, valueInfo(outs[i], o.Value.Type()))
	}
	return x.err
}

// translate writes one node.
func (x *exporter) translate(n *ir.Node) error {
	if x.path = n.Pos.Path; x.path == "" {
		x.path = n.Op
	}
	switch n.Op {
	case ir.OpInput:
		x.input(n)
		return nil
	case ir.OpState:
		x.values[ir.Value{Node: n}] = x.weights[n]
		return nil
	}
	row, ok := exports[n.Op]
	if !ok || row.fits != nil && !row.fits(n.Attr, ir.TypesOf(n.In), n.Types) {
		return &op.Error{Pos: n.Pos, Op: n.Op, Err: fmt.Errorf("ONNX has no operation for it")}
	}
	in := make([]string, len(n.In))
	for i, v := range n.In {
		if v.Valid() {
			in[i] = x.values[v]
		}
	}
	for i, name := range row.write(x, n, in) {
		v := ir.Value{Node: n, Out: i}
		x.values[v] = name
	}
	if x.err != nil {
		return &op.Error{Pos: n.Pos, Op: n.Op, Err: x.err}
	}
	return nil
}

// input writes an input of the graph; whole numbers come as int64.
func (x *exporter) input(n *ir.Node) {
	name, t := n.InputName(), n.Types[0]
	v := name
	if t.DType == ir.I32 {
		x.inputs = append(x.inputs, valueInfo(name, t.As(ir.I64)))
		v = x.cast(name, ir.I64, ir.I32)
	} else {
		x.inputs = append(x.inputs, valueInfo(name, t))
	}
	x.values[ir.Value{Node: n}] = v
}

// unique is a name that nothing else has.
func (x *exporter) unique(name string) string {
	x.names[name]++
	if n := x.names[name]; n > 1 {
		return x.unique(fmt.Sprintf("%s_%d", name, n))
	}
	return name
}
