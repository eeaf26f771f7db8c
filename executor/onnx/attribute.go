package onnx

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"unicode/utf8"
)

// Kind is what an attribute holds.
type Kind uint8

// The kinds of attributes, by their numbers in the format.
const (
	Float  Kind = 1
	Int    Kind = 2
	Text   Kind = 3
	Values Kind = 4 // a tensor
	Body   Kind = 5 // a graph
	Floats Kind = 6
	Ints   Kind = 7
	Texts  Kind = 8
	Bodies Kind = 10
)

// maxAttributes is how many attributes all nodes may have together.
const maxAttributes = 4_000_000

// Attribute is one attribute of a node. Which fields count says Kind; a kind
// that is not listed above holds nothing.
type Attribute struct {
	Name string
	Kind Kind
	// Ref is the attribute of the function around the node that this one takes its
	// value from; "" is none.
	Ref    string
	Float  float32
	Int    int64
	Text   string // any bytes
	Floats []float32
	Ints   []int64
	Texts  []string
	Tensor *Tensor
	Graphs []*Graph
}

// Attribute is the attribute of a name, or nil.
func (n *Node) Attribute(name string) *Attribute {
	for i := range n.Attributes {
		if n.Attributes[i].Name == name {
			return &n.Attributes[i]
		}
	}
	return nil
}

// Graphs are the branches and bodies of a node.
func (n *Node) Graphs() iter.Seq[*Graph] {
	return func(yield func(*Graph) bool) {
		for i := range n.Attributes {
			for _, g := range n.Attributes[i].Graphs {
				if !yield(g) {
					return
				}
			}
		}
	}
}

// attribute reads an attribute of n, but for the values of its tensor. path
// leads to the graph of the node.
func (r *reader) attribute(f field, n *Node, path string, depth int) (Attribute, error) {
	var a Attribute
	if r.attributes++; r.attributes > maxAttributes {
		return a, fmt.Errorf("has more than %d attributes", maxAttributes)
	}
	var tensors, graphs []field
	err := fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			a.Name, err = f.text()
		case 2:
			a.Float = math.Float32frombits(uint32(f.value))
		case 3:
			a.Int = int64(f.value)
		case 4:
			a.Text = string(f.bytes)
		case 5:
			tensors = append(tensors, f)
		case 6, 11:
			graphs = append(graphs, f)
		case 7:
			a.Floats, err = f.floats(a.Floats)
		case 8:
			a.Ints, err = f.numbers(a.Ints)
		case 9:
			a.Texts = append(a.Texts, string(f.bytes))
		case 20:
			a.Kind = Kind(min(f.value, 255))
		case 21:
			a.Ref, err = f.text()
		}
		return err
	})
	if err != nil {
		return a, err
	}
	if len(tensors) > 1 {
		return a, fmt.Errorf("attribute %.60q of node %.80s has %d tensors", a.Name, n, len(tensors))
	}
	if len(tensors) == 1 {
		if err := r.constant(tensors[0], n, &a, path); err != nil {
			return a, err
		}
	}
	for _, f := range graphs {
		if err := r.body(f, n, &a, path, depth); err != nil {
			return a, err
		}
	}
	return a, a.complete(n)
}

// complete sets the kind of an attribute that older files leave out, and
// proves that there is what it says.
func (a *Attribute) complete(n *Node) error {
	if a.Kind == 0 && a.Ref == "" {
		switch {
		case a.Tensor != nil:
			a.Kind = Values
		case len(a.Graphs) > 0:
			a.Kind = Body
		case len(a.Ints) > 0:
			a.Kind = Ints
		case len(a.Floats) > 0:
			a.Kind = Floats
		case len(a.Texts) > 0:
			a.Kind = Texts
		case a.Text != "":
			a.Kind = Text
		case a.Float != 0:
			a.Kind = Float
		default:
			a.Kind = Int
		}
	}
	if a.Ref == "" && (a.Kind == Values && a.Tensor == nil || a.Kind == Body && len(a.Graphs) != 1) {
		return fmt.Errorf("attribute %.60q of node %.80s lacks its value", a.Name, n)
	}
	return nil
}

// constant reads the tensor of an attribute. One that is the value of a constant
// with axes is a weight of the file like any other; scalars are parts of the graph.
func (r *reader) constant(f field, n *Node, a *Attribute, path string) error {
	t, err := readTensor(f)
	if err != nil {
		return err
	}
	a.Tensor = &t
	if n.Op != "Constant" || a.Name != "value" || len(n.Out) != 1 || len(t.Shape) == 0 {
		return nil
	}
	i, err := r.keep(t, path, n.Out[0])
	if err == nil {
		a.Tensor.Name = r.m.Tensors[i].Name
	}
	return err
}

// body reads a branch or body.
func (r *reader) body(f field, n *Node, a *Attribute, path string, depth int) error {
	at := a.Name
	if len(n.Out) > 0 {
		at = n.Out[0] + "." + at
	}
	if path != "" {
		at = path + "." + at
	}
	if len(at) > maxName {
		return fmt.Errorf("graphs in graphs have names longer than %d bytes", maxName)
	}
	g := &Graph{}
	a.Graphs = append(a.Graphs, g)
	return r.graph(f, g, at, depth+1)
}

// floats appends what a repeated field of numbers holds, packed or not.
func (f field) floats(out []float32) ([]float32, error) {
	if !f.isText {
		return append(out, math.Float32frombits(uint32(f.value))), nil
	}
	if len(f.bytes)%4 != 0 {
		return nil, errWire
	}
	for b := f.bytes; len(b) > 0; b = b[4:] {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return out, nil
}

// Function is an operation that a model defines itself, by a graph of others.
type Function struct {
	Domain, Name, Overload string
	Inputs, Outputs        []string
	Attributes             []string    // names that a call may give
	Defaults               []Attribute // what they are otherwise
	Opsets                 map[string]int64
	Graph                  Graph // its nodes alone
}

// function reads a function of the model.
func (r *reader) function(f field) error {
	fn := Function{Opsets: map[string]int64{}}
	fn.Graph.values = map[string]int{}
	var nodes, defaults []field
	err := fields(f.bytes, f.at, func(f field) (err error) {
		var s string
		if f.isText && (f.number == 1 || f.number >= 4 && f.number <= 6 || f.number == 10 || f.number == 13) {
			if s, err = f.text(); err != nil {
				return err
			}
		}
		switch f.number {
		case 1:
			fn.Name = s
		case 4:
			fn.Inputs = append(fn.Inputs, s)
		case 5:
			fn.Outputs = append(fn.Outputs, s)
		case 6:
			fn.Attributes = append(fn.Attributes, s)
		case 7:
			nodes = append(nodes, f)
		case 9:
			err = opset(f, fn.Opsets)
		case 10:
			fn.Domain = s
		case 11:
			defaults = append(defaults, f)
		case 13:
			fn.Overload = s
		}
		return err
	})
	if err != nil {
		return err
	}
	path := "function." + fn.Domain + "." + fn.Name + "." + fn.Overload
	for _, f := range nodes {
		n, err := r.node(f, path, 0)
		if err != nil {
			return err
		}
		fn.Graph.Nodes = append(fn.Graph.Nodes, n)
	}
	for _, f := range defaults {
		a, err := r.attribute(f, &Node{Op: fn.Name}, path, 0)
		if err != nil {
			return err
		}
		fn.Defaults = append(fn.Defaults, a)
	}
	for _, in := range fn.Inputs {
		fn.Graph.Inputs = append(fn.Graph.Inputs, Value{Name: in})
	}
	r.m.Functions = append(r.m.Functions, fn)
	return nil
}

// Show is a text of a file for a message: short, and of one line.
func Show(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most]
		for !utf8.ValidString(s) && len(s) > most-4 {
			s = s[:len(s)-1]
		}
		s += "..."
	}
	return fmt.Sprintf("%q", s)
}
