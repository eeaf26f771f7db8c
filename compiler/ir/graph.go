package ir

import (
	"fmt"
	"slices"
)

// Pos says which line of which document asked for a node.
type Pos struct {
	File string
	Line int
	Col  int
	Path string // layer path, "model.layers.3.self_attn.q_proj"
	// Block is the path of the layer of a stack that Path lies in,
	// "model.layers.3"; of stacks within stacks the outer one. It may be empty.
	Block string
}

// String gives "file:line:col: path", leaving out what is not known.
func (p Pos) String() string {
	s := p.Path
	if p.File != "" {
		at := fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
		if s == "" {
			return at
		}
		s = at + ": " + s
	}
	return s
}

// Value is one output of one node: an edge.
type Value struct {
	Node *Node
	Out  int
}

// Valid reports whether v names an output.
func (v Value) Valid() bool { return v.Node != nil }

// Type returns the value's type.
func (v Value) Type() Type { return v.Node.Types[v.Out] }

// TypesOf are those of values; that of one which was left out is the zero Type.
func TypesOf(vs []Value) []Type {
	out := make([]Type, len(vs))
	for i, v := range vs {
		if v.Valid() {
			out[i] = v.Type()
		}
	}
	return out
}

func (v Value) String() string {
	if v.Node == nil {
		return "none"
	}
	if len(v.Node.Types) == 1 {
		return fmt.Sprintf("%%%d", v.Node.ID)
	}
	return fmt.Sprintf("%%%d.%d", v.Node.ID, v.Out)
}

// Node is one operation applied to values. A node never changes once it is
// in a graph: passes build new graphs.
type Node struct {
	ID    int     // index in Graph.Nodes
	Op    string  // a row of the op table, or "input", or "state"
	In    []Value // an input that may be left out is the zero Value
	Attr  any     // comparable struct declared beside the op, or nil
	Types []Type  // of the outputs
	Pos   Pos
}

// The ops that are not in the op table: they bring values into a graph.
const (
	OpInput = "input" // Attr is InputAttr
	OpState = "state" // Attr is StateAttr
)

// OpCall is how documents say that a model is called: its nodes take the place
// of the call in a graph.
const OpCall = "call"

// OpScan runs a graph, which is its attribute, for each position of rows.
const OpScan = "scan"

// What a scan is made of in documents: a position of rows, a value that is carried
// from step to step, and what the steps gave together.
const (
	OpRow   = "row"
	OpCarry = "carry"
	OpStack = "stack"
)

// InputAttr names an input of the graph.
type InputAttr struct{ Name string }

// StateAttr names memory that outlives a run: State.Path.
type StateAttr struct{ Path string }

// Kind says what a State is for.
type Kind uint8

// The kinds of state.
const (
	Weight   Kind = iota // read from a checkpoint; optimizer steps may change it
	Cache                // zero at the start of a sequence, as keys and values of past tokens
	Moment               // what an optimizer keeps of past gradients
	Gradient             // the sum of the gradients of micro-batches
)

func (k Kind) String() string { return [...]string{"weight", "cache", "moment", "gradient"}[k] }

// State is memory that outlives one run of the graph: a weight, a key/value
// cache, later an optimizer moment or a random-number counter.
type State struct {
	Path string // layer path, also the checkpoint name
	Kind Kind
	Read Value // its value when the run starts: a node of Op "state"
	Next Value // its value when the run ends; the zero Value if unchanged
	Pos  Pos
	Init string // how a new model fills it: "zeros", "ones", "normal", "uniform", "kaiming", as Within says, or a number
	// Changes says that training changes it, in this program or in another of
	// the same model.
	Changes bool
	// Statistic says that it is a weight of which the data decide, not a gradient.
	Statistic bool
	// Pairs says that it is a weight whose file has rows of heads as pairs of
	// neighbours, and that it is read so.
	Pairs bool
}

// Output is a named result of the graph.
type Output struct {
	Name  string
	Value Value
}

// Graph is a list of nodes in topological order.
type Graph struct {
	Nodes   []*Node
	Inputs  []Value // nodes of Op "input"
	Outputs []Output
	States  []*State
}

// Add appends n, gives it its ID and returns its outputs.
func (g *Graph) Add(n *Node) []Value {
	n.ID = len(g.Nodes)
	g.Nodes = append(g.Nodes, n)
	out := make([]Value, len(n.Types))
	for i := range out {
		out[i] = Value{Node: n, Out: i}
	}
	return out
}

// Hoist moves the nodes from a place on to where they can be computed first: right behind what they read.
func (g *Graph) Hoist(from int) {
	behind := make([][]*Node, from+1) // what goes behind each of the nodes before, and before them all
	at := make([]int, len(g.Nodes))   // 1 more than the node that one goes behind
	for i := range from {
		at[i] = i + 1
	}
	for i, n := range g.Nodes[from:] {
		for _, v := range n.In {
			if v.Valid() {
				at[from+i] = max(at[from+i], at[v.Node.ID])
			}
		}
		behind[at[from+i]] = append(behind[at[from+i]], n)
	}
	nodes := slices.Clone(behind[0])
	for i, n := range g.Nodes[:from] {
		nodes = append(append(nodes, n), behind[i+1]...)
	}
	g.Nodes = nodes
	for i, n := range nodes {
		n.ID = i
	}
}

// AddInput appends an input called name.
func (g *Graph) AddInput(name string, t Type, pos Pos) Value {
	v := g.Add(&Node{Op: OpInput, Attr: InputAttr{name}, Types: []Type{t}, Pos: pos})[0]
	g.Inputs = append(g.Inputs, v)
	return v
}

// AddState appends state s of type t and returns its value at the start.
func (g *Graph) AddState(s State, t Type) *State {
	s.Read = g.Add(&Node{Op: OpState, Attr: StateAttr{s.Path}, Types: []Type{t}, Pos: s.Pos})[0]
	g.States = append(g.States, &s)
	return &s
}

// InputName returns the name of an input node.
func (n *Node) InputName() string { return n.Attr.(InputAttr).Name }
