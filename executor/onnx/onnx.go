// Package onnx reads what ONNX files hold: the graph with its nodes, inputs and
// outputs, and where the values of initializers and constants lie.
//
// Memory is bounded by the size of the file; values are not read.
//
// Not here: running the graph, functions of a model, sparse tensors.
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
	Tensors  []Tensor // of all graphs
}

// Graph is a graph, or a branch or body of a node.
type Graph struct {
	Name            string
	Inputs, Outputs []Value
	Nodes           []Node
	values          map[string]bool // names of initializers
}

// Value is an input or output of a graph.
type Value struct {
	Name  string
	DType string   // as safetensors spells it; "" if it is no tensor
	Shape []string // numbers, names, or "?"
}

// Node is one operation.
type Node struct {
	Name, Domain, Op string
	In, Out          []string
	Graphs           []Graph
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
			err = r.opset(f)
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
	return m, m.Graph.sorted(map[string]bool{})
}

// reader collects what is in all graphs.
type reader struct {
	m     *Model
	nodes int
	seen  map[string]bool // names of tensors
}

func (r *reader) opset(f field) error {
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
	r.m.Opsets[domain] = version
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
	g.values = map[string]bool{}
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
				g.values[t.Name] = true
				err = r.keep(t, path, t.Name)
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

// keep adds a tensor under a name.
func (r *reader) keep(t Tensor, path, name string) error {
	if path != "" {
		name = path + "." + name
	}
	if name == "" || len(name) > maxName || r.seen[name] {
		return fmt.Errorf("tensor %.60q has no name, one that is too long, or is there twice", name)
	}
	if len(r.m.Tensors) == maxNodes {
		return fmt.Errorf("has more than %d tensors", maxNodes)
	}
	r.seen[name] = true
	t.Name = name
	r.m.Tensors = append(r.m.Tensors, t)
	return nil
}

func (r *reader) node(f field, path string, depth int) (Node, error) {
	var n Node
	if r.nodes++; r.nodes > maxNodes {
		return n, fmt.Errorf("has more than %d nodes", maxNodes)
	}
	var attributes []field
	err := fields(f.bytes, f.at, func(f field) (err error) {
		var s string
		if f.number != 5 && f.isText && f.number <= 7 && f.number != 6 {
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
		}
		return err
	})
	for _, a := range attributes {
		if err == nil {
			err = r.attribute(a, &n, path, depth)
		}
	}
	return n, err
}

// attribute reads the tensor of a constant, and graphs.
func (r *reader) attribute(f field, n *Node, path string, depth int) error {
	name := ""
	var tensor, graphs []field
	err := fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			name, err = f.text()
		case 5:
			tensor = append(tensor, f)
		case 6, 11:
			graphs = append(graphs, f)
		}
		return err
	})
	if err != nil {
		return err
	}
	if n.Op == "Constant" && name == "value" && len(tensor) == 1 && len(n.Out) == 1 {
		t, err := readTensor(tensor[0])
		if err != nil {
			return err
		}
		if len(t.Shape) > 0 { // scalars are parts of the graph rather than weights
			return r.keep(t, path, n.Out[0])
		}
	}
	for _, g := range graphs {
		at := name
		if len(n.Out) > 0 {
			at = n.Out[0] + "." + name
		}
		if path != "" {
			at = path + "." + at
		}
		if len(at) > maxName {
			return fmt.Errorf("graphs in graphs have names longer than %d bytes", maxName)
		}
		n.Graphs = append(n.Graphs, Graph{})
		if err := r.graph(g, &n.Graphs[len(n.Graphs)-1], at, depth+1); err != nil {
			return err
		}
	}
	return nil
}
