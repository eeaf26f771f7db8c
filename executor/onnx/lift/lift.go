// Package lift turns the graph of an ONNX file into a model of the op table: a
// graph with named sizes, the weights that it reads, and the names of both.
//
// Whatever is known is computed while the graph is read: shapes with named sizes
// in them, constants, branches whose condition is known, loops whose length is.
// What is left are ops of the table, whose shape rules prove the graph.
//
// Numbers become f32 whatever the file computes in, whole numbers i32.
//
// Not here: operations of other domains than ONNX's own, unless the model defines
// them by a function; values as quantised integers; sequences and texts.
//
// Source: github.com/onnx/onnx, docs/Operators.md, opsets 7 to 24.
package lift

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

const (
	minOpset = 7
	maxOpset = 24
	// A file may define functions that call functions, and loops in loops.
	maxCalls  = 16      // deep
	maxLifted = 100_000 // nodes of the file, each as often as it is called
	maxNodes  = 50_000  // of the graph that is made
	maxElems  = 1 << 40 // of a value
	maxFold   = 1 << 20 // elements of a constant that is computed
	maxWork   = 1 << 26 // elements of all of them
	maxLoad   = 1 << 22 // elements of a constant of the file that is computed with
	maxSteps  = 1024    // of a recurrent layer or a loop
)

// Options say what of a model is known.
type Options struct {
	Table *op.Table
	// Fix gives numbers to named sizes, and to inputs, which then are none.
	Fix map[string]float64
	// Rename gives named sizes other names: two of one name are one size.
	Rename map[string]string
	// Values reads the values of a tensor, little-endian, outermost axis first.
	Values func(t *onnx.Tensor) ([]byte, error)
}

// Model is a graph of ops with its weights.
type Model struct {
	Graph   *ir.Graph
	Names   map[*ir.Node]string // of all nodes but states
	Weights []Weight            // in the order in which the graph reads them
	table   *op.Table
}

// errLift carries an error out of the depth of a graph; Lift returns it. It keeps
// formulas readable, and never leaves the package.
type errLift struct{ err error }

func fail(format string, args ...any) { panic(errLift{fmt.Errorf(format, args...)}) }

// Lift makes the model. Errors are of one line.
func Lift(m *onnx.Model, o Options) (out *Model, err error) {
	l := &lifter{
		Options: o, file: m, b: op.NewBuilder(o.Table), names: map[*ir.Node]string{}, taken: map[string]bool{}, numbered: map[string]int{},
		states: map[string]*state{}, rows: table(), functions: map[string]*onnx.Function{}, fixed: map[string]bool{},
	}
	defer func() {
		if r := recover(); r != nil {
			e, ours := r.(errLift)
			if !ours {
				panic(r)
			}
			out, err = nil, l.placed(e.err)
		}
	}()
	l.prove()
	l.model()
	return &Model{Graph: l.pruned(), Names: l.names, Weights: l.used(), table: o.Table}, nil
}

// lifter is a graph that is being made.
type lifter struct {
	Options
	file      *onnx.Model
	b         *op.Builder
	at        *onnx.Node // what is being lifted, for messages
	id        string     // of that
	names     map[*ir.Node]string
	taken     map[string]bool // names
	numbered  map[string]int  // how many numbers were given to a name
	states    map[string]*state
	final     []*state // that the graph reads
	rows      map[string]func(c *call) []*value
	functions map[string]*onnx.Function
	fixed     map[string]bool // names of Fix that were found
	sizes     []string        // names of sizes
	lifted    int
	calls     int // how deep
	work      int // elements computed
}

// placed says at which node of the file an error occurred.
func (l *lifter) placed(err error) error {
	if l.at == nil {
		return err
	}
	return fmt.Errorf("node %s: %w", nodeName(l.at), err)
}

// nodeName is how messages call a node.
func nodeName(n *onnx.Node) string {
	kind := n.Op
	if n.Domain != "" && n.Domain != "ai.onnx" {
		kind = n.Domain + "." + n.Op
	}
	name := n.Name
	for _, out := range n.Out {
		if name == "" {
			name = out
		}
	}
	return fmt.Sprintf("%.80s %s", kind, onnx.Show(name))
}

// prove refuses a model with operations that are not lifted, all of them in one
// line, before anything is done.
func (l *lifter) prove() {
	for i := range l.file.Functions {
		f := &l.file.Functions[i]
		l.functions[functionKey(f.Domain, f.Name, f.Overload)] = f
	}
	if v := l.file.Opsets[""]; v < minOpset || v > maxOpset {
		fail("is of opset %d; opsets %d to %d are imported", v, minOpset, maxOpset)
	}
	var missing []string
	count := map[string]int{}
	var walk func(g *onnx.Graph)
	walk = func(g *onnx.Graph) {
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if l.handler(n) == nil && l.functions[functionKey(n.Domain, n.Op, n.Overload)] == nil {
				kind := n.Domain + "." + n.Op
				if count[kind]++; count[kind] == 1 {
					missing = append(missing, nodeName(n))
				}
			}
			for inner := range n.Graphs() {
				walk(inner)
			}
		}
	}
	walk(&l.file.Graph)
	for i := range l.file.Functions {
		walk(&l.file.Functions[i].Graph)
	}
	if len(missing) == 0 {
		return
	}
	const most = 20
	more := ""
	if len(missing) > most {
		more = fmt.Sprintf(" and %d more kinds", len(missing)-most)
	}
	fail("operations that are not imported: %s%s", strings.Join(missing[:min(most, len(missing))], ", "), more)
}

func functionKey(domain, name, overload string) string {
	return domain + "\x00" + name + "\x00" + overload
}

// model lifts the main graph.
func (l *lifter) model() {
	g := &l.file.Graph
	s := newScope(nil, g, l.file.Opsets[""])
	l.inputs(s, g)
	l.unknownFix(g)
	l.graph(s, g)
	l.at = nil
	seen := map[ir.Value]bool{}
	if len(g.Outputs) == 0 {
		fail("has no outputs")
	}
	for i := range g.Outputs {
		name := g.Outputs[i].Name
		v := s.lookup(name)
		if v == nil {
			fail("output %s is made by no node", onnx.Show(name))
		}
		l.id = identifier(name)
		from := len(l.b.Graph.Nodes)
		x := l.node(v)
		if seen[x] { // two names of one value
			x = l.b.Reshape(x, x.Type().Shape...)
		}
		l.check()
		l.nameNodes(from, []*value{{node: x}})
		seen[x] = true
		l.b.Graph.Outputs = append(l.b.Graph.Outputs, ir.Output{Name: name, Value: x})
	}
}

// graph lifts the nodes of a graph.
func (l *lifter) graph(s *scope, g *onnx.Graph) {
	for i := range g.Nodes {
		if l.lifted++; l.lifted > maxLifted {
			fail("its functions and loops come to more than %d nodes", maxLifted)
		}
		n := &g.Nodes[i]
		if s.done[n] {
			s.values[n.Out[0]] = s.values[s.alias[n.Out[0]]]
			continue
		}
		l.at, l.id = n, identifier(cmpName(n))
		from := len(l.b.Graph.Nodes)
		out := l.call(&call{l, s, n})
		l.at = n
		for k, name := range n.Out {
			if name == "" {
				continue
			}
			if k >= len(out) || out[k] == nil {
				if s.uses[name] > 0 {
					fail("its output %d is not computed", k)
				}
				continue
			}
			if out[k].label == "" {
				out[k].label = name
			}
			s.values[name] = out[k]
		}
		l.nameNodes(from, out)
		if len(l.b.Graph.Nodes) > maxNodes {
			fail("the model takes more than %d nodes", maxNodes)
		}
	}
}

// call lifts one node, by its row in the table or by the function that it calls.
func (l *lifter) call(c *call) []*value {
	if f := l.functions[functionKey(c.n.Domain, c.n.Op, c.n.Overload)]; f != nil {
		return l.function(c, f)
	}
	h := l.handler(c.n)
	if h == nil {
		fail("is not imported")
	}
	return h(c)
}

func (l *lifter) handler(n *onnx.Node) func(c *call) []*value {
	if n.Domain != "" && n.Domain != "ai.onnx" {
		return nil
	}
	return l.rows[n.Op]
}

// check turns an error of the builder into one of the lifter.
func (l *lifter) check() {
	err := l.b.Err()
	if err == nil {
		return
	}
	var placed *op.Error
	if errors.As(err, &placed) {
		err = placed.Err
	}
	l.wrong(err)
}

// wrong refuses what a shape rule refuses. Named sizes may be why.
func (l *lifter) wrong(err error) {
	if slices.ContainsFunc(l.sizes, func(name string) bool { return strings.Contains(err.Error(), name) }) {
		fail("%w (sizes that are not known: %s; --fix NAME=NUMBER gives one a number)", err, strings.Join(l.sizes, ", "))
	}
	fail("%w", err)
}

// unknownFix refuses names that are neither inputs nor sizes.
func (l *lifter) unknownFix(g *onnx.Graph) {
	for _, name := range append(slices.Sorted(maps.Keys(l.Fix)), slices.Sorted(maps.Keys(l.Rename))...) {
		if l.fixed[name] {
			continue
		}
		var known []string
		for i := range g.Inputs {
			if _, ok := g.Initializer(g.Inputs[i].Name); !ok {
				known = append(known, g.Inputs[i].Name)
			}
		}
		fail("--fix %s: there is no input and no size of that name; there are the inputs %s and the sizes %s", onnx.Show(name), strings.Join(known, ", "), orNone(l.sizes))
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
