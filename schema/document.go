// Package schema loads CUE documents: it validates them against the CUE
// definitions built into the binary, reports every mistake at the line where
// it was written, and turns what is valid into plain Go values.
//
// It is the only importer of the CUE libraries. It does not know what an op
// or a stage means, nor any shape: see compiler and executor.
package schema

import (
	"path"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
)

// Document is one validated file, every default filled in. Pipeline, Recipe or
// Tokenizer is set, or Models has at least one architecture.
type Document struct {
	File      string
	Name      string    // the top-level field that holds the pipeline, recipe or first model
	Pipeline  *Pipeline // a field of pipeline.#Pipeline
	Recipe    *Recipe   // a field of train.#Recipe
	Tokenizer *Recipe   // a field of train.#Tokenizer
	Models    []*Model  // fields of op.#Graph
	Hash      string    // "sha256:..." of the resolved document
	resolved  []byte
}

// Pipeline is an inference pipeline: models, inputs, a graph of stages, outputs.
type Pipeline struct {
	Name    string
	Inputs  []Input
	Models  []ModelRef
	Stages  []Stage // in document order
	Outputs []Output
	Folder  *Folder // nil if the document is for none
	Pos     ir.Pos
}

// Folder is one of several models that a pipeline is for, with a model_index.json.
type Folder struct {
	Path      string
	Classes   []string          // that the document is for
	Documents map[string]string // for others
	Absent    map[string]string // what to do where a part is not there, by its name
}

// Input is a declared input. Its token is "inputs.NAME".
type Input struct {
	Name  string
	Type  string // "text", "int", "float", "bool", "model", "tensor", "list"
	Doc   string // the comment above it in the document
	Value any    // string, json.Number, bool, []any; nil if an optional input has none
	Pos   ir.Pos
}

// ModelRef names a model that stages use. Its token is "models.NAME".
type ModelRef struct {
	Name      string
	From      string  // path of a folder, or of a file
	Arch      *Model  // what the document says the model is; nil if its folder says it
	As        string  // which other model of its folder's architecture is meant; "" for the model itself
	Context   int     // tokens of the key/value cache; 0 means what the model was trained on
	Cache     string  // element type of the key/value cache
	CacheAt   ir.Pos  // where the document says so
	Weights   Formats // of quantised weights
	Adapter   string  // path of a folder in PEFT's form, or of a file of adapters of several models; "" for none
	Scale     float64 // a further factor of the adapter
	Tokenizer string  // path of the tokenizer; "" for that of the folder
	Precision string  // that it computes in: "f32", "tf32", "bf16" or "f16"
	Offload   string  // which layers stay on the host: "auto", a number, or "" for none
	OffloadAt ir.Pos
	Pos       ir.Pos
}

// Formats are those of quantised weights, "" for as they are stored.
type Formats struct {
	Default string
	Layers  []LayerFormat
}

// LayerFormat is the format of the layers whose paths match a pattern.
type LayerFormat struct {
	Pattern, Format string
	Pos             ir.Pos
}

// Stage is one step of a pipeline. Its token is its ID.
type Stage struct {
	ID     string
	Stage  string         // a row of the stage table: "generate"
	Fields map[string]any // as encoding/json gives them with UseNumber
	Pos    ir.Pos
	At     map[string]ir.Pos // where single fields were written; may lack some
}

// Output is a result of a pipeline.
type Output struct {
	Name string
	From string // token
	Type string // "text", "ids", "tensor", "tensors"
	Pos  ir.Pos
}

// Recipe is a validated training recipe, of a model or of a tokenizer. The fields are not looked at here.
type Recipe struct {
	Name   string
	Fields map[string]any
	Model  *Model            // the architecture of model.config or model.graph; nil if there is none
	Models map[string]*Model // those of models, by name, that the document describes
	Pos    ir.Pos

	places map[string]ir.Pos // of what is written out, by path
}

// Model is an architecture: a tree of nodes, with stacks not yet expanded.
type Model struct {
	Group
	Name   string         // top-level field, or the folder it was made for
	Arch   string         // model_type, if it was made from a config.json
	Config map[string]any // config.json with the architecture's defaults settled
	// Unread are fields of config.json that look like misspelt ones.
	Unread []*Error
	// Context is the number of positions the model was trained on; 0 if it says none.
	Context int
	// Start are the ids that text begins with, of a model that makes text of a
	// source; nil if it continues what it is given.
	Start []int32
	// Ignore lists patterns (path.Match, on whole names) of tensors that
	// checkpoints of this architecture carry and that it does not use.
	Ignore []string
	// Prefixes lists prefixes that a checkpoint may lack or add in front of every name.
	Prefixes []string
	// Aliases are what a checkpoint may write in place of parts of names.
	Aliases map[string]string
	// Outputs are results by name, in document order; Out may be among them.
	Outputs []NamedToken
	// Text is a document that holds this model alone, of the graph of a recipe.
	Text []byte
	Pos  ir.Pos

	weights map[string]bool // what the names of weights begin with, once it was asked for
}

// NamedToken is a result that a model calls by a name of its own.
type NamedToken struct {
	Name, Token string
	Pos         ir.Pos
}

// OutName is the name of the value of Out: "logits", if the model has no other.
func (m *Model) OutName() string {
	for _, o := range m.Outputs {
		if o.Token == m.Out {
			return o.Name
		}
	}
	return "logits"
}

// OutputNames are the names of all outputs.
func (m *Model) OutputNames() []string {
	names := []string{m.OutName()}
	for _, o := range m.Outputs {
		if o.Name != names[0] {
			names = append(names, o.Name)
		}
	}
	return names
}

// From is the token of what gives the value of an input of a model within
// another; "" where the caller does.
func (n *Node) From() string {
	if n.Op != ir.OpInput {
		return ""
	}
	from, _ := n.Fields["from"].(string)
	return from
}

// Inputs lists the nodes that the caller of the model gives, outside of stacks.
func (m *Model) Inputs() []*Node { return m.Group.inputs(nil) }

func (g *Group) inputs(list []*Node) []*Node {
	for i := range g.Nodes {
		switch n := &g.Nodes[i]; {
		case n.Group != nil:
			list = n.Group.inputs(list)
		case n.Op == ir.OpInput && n.From() == "":
			list = append(list, n)
		}
	}
	return list
}

// Calls lists the nodes that call other models, outside of stacks.
func (m *Model) Calls() []*Node { return m.Group.calls(nil) }

func (g *Group) calls(list []*Node) []*Node {
	for i := range g.Nodes {
		switch n := &g.Nodes[i]; {
		case n.Group != nil:
			list = n.Group.calls(list)
		case n.Op == ir.OpCall:
			list = append(list, n)
		}
	}
	return list
}

// Holds reports whether a tensor is a weight of one of the model's nodes, by its
// name alone.
func (m *Model) Holds(tensor string) bool {
	_, ok := m.PathOf(tensor)
	return ok
}

// PathOf is the path of the weight that a tensor is, by its name alone.
func (m *Model) PathOf(tensor string) (path string, ok bool) {
	if m.weights == nil {
		m.weights = map[string]bool{}
		m.Group.params(m.weights)
	}
	for _, name := range m.spellings(tensor) {
		if i := strings.LastIndexByte(name, '.'); i >= 0 && m.weights[unnumbered(name[:i])] {
			return name, true
		}
	}
	return "", false
}

// spellings are the names that a tensor may have in the model.
func (m *Model) spellings(tensor string) []string {
	other := tensor
	for part, alias := range m.Aliases {
		other = strings.ReplaceAll(other, alias, part)
	}
	list := []string{tensor, other}
	for _, p := range m.Prefixes {
		list = append(list, p+tensor, strings.TrimPrefix(tensor, p), p+other, strings.TrimPrefix(other, p))
	}
	return list
}

// unnumbered is a name with {i} for each of its numbers.
func unnumbered(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if strings.Trim(p, "0123456789") == "" {
			parts[i] = "{i}"
		}
	}
	return strings.Join(parts, ".")
}

// params gathers what the names of weights begin with, whatever the indices.
func (g *Group) params(names map[string]bool) {
	for i := range g.Nodes {
		switch n := &g.Nodes[i]; {
		case n.Group != nil:
			n.Group.params(names)
		case n.Repeat != nil:
			for _, body := range n.Repeat.Bodies {
				body.params(names)
			}
		default:
			names[unnumbered(n.Param)] = true
		}
	}
}

// Ignores reports whether the architecture does not use a tensor that
// checkpoints carry.
func (m *Model) Ignores(tensor string) bool { return matchesAny(m.Ignore, tensor) }

// matchesAny matches * with any characters, slashes too, which names in ONNX files hold.
func matchesAny(patterns []string, tensor string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "|") }
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(flat(pattern), flat(tensor))
		return ok && err == nil
	})
}

// Group is a named group of nodes: a graph or a layer. Its value is that of Out.
type Group struct {
	ID    string
	Nodes []Node            // in document order
	Out   string            // token
	Gives map[string]string // tokens of what a copy of a stack hands on besides, by name

	// Scan is set if the nodes run once for each position of sequences.
	Scan *Scan

	OutPos ir.Pos // where Out was written
}

// Scan says how a group runs again and again.
type Scan struct {
	Reverse bool
	Steps   string // a size, where no row says how many steps there are
	Pos     ir.Pos
}

// Node is an op, a nested group, or a repeated group: one of Op, Group and
// Repeat is set. Inside the bodies of a Repeat, IDs and tokens hold "{i}".
type Node struct {
	ID     string
	Op     string // a row of the op table, or "input", or "call"
	Param  string // checkpoint prefix of its weights
	Tied   string // id of the node whose weights it shares, or ""
	Fields map[string]any
	Pos    ir.Pos
	At     map[string]ir.Pos // where single fields were written; may lack some

	Group  *Group
	Repeat *Repeat
	Called *Model // of a call, once it is known which model a name stands for
}

// Repeat is N copies of a body, one after the other. Copy 0 reads X, copy i
// the output of copy i-1; the token "ID.i.in" names what copy i reads.
type Repeat struct {
	N      int
	X      string
	Beside map[string]string // further tokens that copies hand on, by name
	Kinds  []string          // which body each copy has, repeated cyclically; nil if there is one
	Bodies map[string]*Group // by kind
}
