// Package onnx reads what ONNX files hold: the graph with its nodes, inputs and
// outputs, and where the values of initializers and constants lie.
//
// Memory is bounded by the size of the file; values are not read.
//
// Not here: running the graph, sparse tensors.
//
// Source: onnx/onnx.proto (onnx/onnx), ir_version 3 to 11.
package onnx

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	maxName  = 4096      // bytes
	maxDepth = 16        // of graphs in graphs
	maxNodes = 1_000_000 // of all graphs
	maxAxes  = 64
)

// Model is what a file holds.
type Model struct {
	IR       int64
	Producer string
	Opsets   map[string]int64 // version by domain, "" is ONNX's own
	Metadata map[string]string
	Graph    Graph
	// Functions are operations that the model defines itself.
	Functions []Function
	Tensors   []Tensor // of all graphs
}

// Graph is a graph, or a branch or body of a node.
type Graph struct {
	Name            string
	Inputs, Outputs []Value
	Nodes           []Node
	values          map[string]int // initializers by name: where they are in Model.Tensors
}

// Initializer says which of Model.Tensors is the value of a name in the graph.
func (g *Graph) Initializer(name string) (index int, ok bool) {
	index, ok = g.values[name]
	return index, ok
}

// Value is an input or output of a graph.
type Value struct {
	Name  string
	DType string   // as safetensors spells it; "" if it is no tensor
	Shape []string // numbers, names, or "?"
	// Ranked says that Shape has all axes: a scalar has none.
	Ranked bool
}

// Node is one operation.
type Node struct {
	Name, Domain, Op string
	Overload         string // of a function of the model
	In, Out          []string
	Attributes       []Attribute
}

func (n *Node) String() string {
	if n.Name != "" {
		return fmt.Sprintf("%s %q", n.Op, n.Name)
	}
	return n.Op
}

// Read reads a file whose bytes are data.
func Read(data []byte) (*Model, error) {
	m := &Model{Opsets: map[string]int64{}, Metadata: map[string]string{}}
	r := &reader{m: m, seen: map[string]bool{}}
	graphs := 0
	err := fields(data, 0, func(f field) (err error) {
		switch f.number {
		case 1:
			m.IR = int64(f.value)
		case 2:
			m.Producer, err = f.text()
		case 7:
			graphs++
			err = r.graph(f, &m.Graph, "", 0)
		case 8:
			err = opset(f, m.Opsets)
		case 25:
			err = r.function(f)
		case 14:
			var key, value string
			if key, value, err = pair(f); err == nil && len(m.Metadata) < 1000 {
				m.Metadata[key] = value
			}
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case graphs != 1 || m.IR <= 0 || len(m.Opsets) == 0:
		return nil, errWire
	}
	for i := range m.Functions {
		if err := m.Functions[i].Graph.sorted(map[string]bool{}); err != nil {
			return nil, err
		}
	}
	return m, m.Graph.sorted(map[string]bool{})
}

// reader collects what is in all graphs.
type reader struct {
	m                 *Model
	nodes, attributes int
	seen              map[string]bool // names of tensors
}

// opset adds a domain and its version to sets.
func opset(f field, sets map[string]int64) error {
	domain, version := "", int64(0)
	err := fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			domain, err = f.text()
		case 2:
			version = int64(f.value)
		}
		return err
	})
	if domain == "ai.onnx" {
		domain = ""
	}
	sets[domain] = version
	return err
}

// pair reads a key and a value.
func pair(f field) (key, value string, err error) {
	err = fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			key, err = f.text()
		case 2:
			if len(f.bytes) <= maxName {
				value, err = f.text()
			}
		}
		return err
	})
	return key, value, err
}

// graph reads a graph; path leads to it, and is a part of the names of its
// tensors.
func (r *reader) graph(f field, g *Graph, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("has graphs in graphs more than %d deep", maxDepth)
	}
	g.values = map[string]int{}
	return fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			var n Node
			if n, err = r.node(f, path, depth); err == nil {
				g.Nodes = append(g.Nodes, n)
			}
		case 2:
			g.Name, err = f.text()
		case 5:
			var t Tensor
			if t, err = readTensor(f); err == nil {
				g.values[t.Name], err = r.keep(t, path, t.Name)
			}
		case 11, 12:
			var v Value
			if v, err = readValue(f); err != nil {
				break
			}
			if f.number == 11 {
				g.Inputs = append(g.Inputs, v)
			} else {
				g.Outputs = append(g.Outputs, v)
			}
		case 15:
			err = fmt.Errorf("has sparse initializers, which are not read")
		}
		return err
	})
}

// keep adds a tensor under a name and says where it is.
func (r *reader) keep(t Tensor, path, name string) (int, error) {
	if path != "" {
		name = path + "." + name
	}
	if name == "" || len(name) > maxName || r.seen[name] {
		return 0, fmt.Errorf("tensor %.60q has no name, one that is too long, or is there twice", name)
	}
	if len(r.m.Tensors) == maxNodes {
		return 0, fmt.Errorf("has more than %d tensors", maxNodes)
	}
	r.seen[name] = true
	t.Name = name
	r.m.Tensors = append(r.m.Tensors, t)
	return len(r.m.Tensors) - 1, nil
}

func (r *reader) node(f field, path string, depth int) (Node, error) {
	var n Node
	if r.nodes++; r.nodes > maxNodes {
		return n, fmt.Errorf("has more than %d nodes", maxNodes)
	}
	var attributes []field
	err := fields(f.bytes, f.at, func(f field) (err error) {
		var s string
		if f.number != 5 && f.isText && f.number <= 8 && f.number != 6 {
			if s, err = f.text(); err != nil {
				return err
			}
		}
		switch f.number {
		case 1:
			n.In = append(n.In, s)
		case 2:
			n.Out = append(n.Out, s)
		case 3:
			n.Name = s
		case 4:
			if n.Op = s; strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				return fmt.Errorf("a node's operation %.60q is no name", s)
			}
		case 5:
			attributes = append(attributes, f)
		case 7:
			n.Domain = s
		case 8:
			n.Overload = s
		}
		return err
	})
	for _, f := range attributes {
		if err != nil {
			break
		}
		var a Attribute
		a, err = r.attribute(f, &n, path, depth)
		n.Attributes = append(n.Attributes, a)
	}
	return n, err
}
