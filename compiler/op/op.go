// Package op says what each operation means: its attributes, its inputs and
// weights, its shape rule, its gradient, its meaning in simpler operations,
// its test cases and its documentation.
//
// An op is declared here once: its CUE definition, its documentation page, its
// tests and benchmarks derive from the Def. How an op is computed on a device
// is not said here: see kernels.
package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// Def defines one operation.
//
// A primitive has Ref, plain float64 loops, and Grad. A fused op has Lower;
// its gradient and its oracle follow from that.
type Def struct {
	Name    string   // "rms_norm", as graphs and plans print it
	Title   string   // "RMSNorm": documents call it op.#RMSNorm; "" keeps it from documents
	Doc     string   // one line: the formula
	Ports   []Port   // inputs, in order
	Attr    any      // zero value of the attribute struct, nil if there is none
	Outputs []string // names of the outputs where there are several; nil means one

	// Params gives the weights, which follow the ports among the inputs of a
	// node; in holds the types of the ports. Nil means none.
	Params func(in []ir.Type, attr any) ([]Param, error)
	// Infer is the only shape rule there is. in holds ports and weights; a
	// port that was left out has the zero Type.
	Infer func(in []ir.Type, attr any) ([]ir.Type, error)
	// Lower writes n in simpler operations and returns its outputs.
	Lower func(b *Builder, n *ir.Node) []ir.Value
	// Ref computes the outputs in float64 from the inputs; types are those of
	// the inputs, all Known. Integers and booleans are float64 too.
	Ref func(in [][]float64, types []ir.Type, attr any) [][]float64
	// Grad returns the gradients of the inputs (the zero Value where there is
	// none, as for integers), given those of the outputs.
	Grad func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value
	// Flat lists inputs that Grad gives no gradient of though they are numbers.
	// Where one is wanted, the op must be lowered before.
	Flat []int
	// ForGrad returns the attribute of an op whose gradient will be asked for,
	// if it then gives results that Grad reads; the first outputs stay the same.
	ForGrad func(attr any) any
	// Spans returns the attribute of an op whose meaning goes by how long
	// sequences may get; nil means that it does not.
	Spans func(attr any, length ir.Dim) any
	// Training is the op that stands in its place where a model learns: its first
	// results are those of the op, the others the next values of the op's last
	// inputs, which are statistics.
	Training string
	// NoGrad says that the outputs do not depend smoothly on any input.
	NoGrad bool
	// Cost gives the floating-point operations of one call on Known types; nil
	// means one for each element of the outputs.
	Cost func(in, out []ir.Type, attr any) int64
	// Rows says that row i along every axis but the last of the output
	// depends on the same row of the first input and on nothing else of it,
	// so that choosing rows before or after is the same.
	Rows bool
	// Sees says what the results see of an input along an axis of theirs, or that it is all of it or
	// unknown. Nil means unknown, but along the axes of Rows.
	Sees func(n *ir.Node, input, axis int) (Sight, bool)
	// View says that the output is the first input's memory under another
	// shape, so that a plan needs no kernel for it.
	View bool
	// Inline says that models hold its meaning instead: which one may depend on
	// whether a run goes on after what was kept.
	Inline bool
	// Remembered says that the output is computed once for a source, kept in a
	// State, and read there by programs that make text of it.
	Remembered bool
	// Cached lists ports whose past values an incremental run keeps in a
	// State, when the attribute Cache is set.
	Cached []int
	// Wide lists ports that are f32 where others are narrower.
	Wide []int

	Cases []Case
}

// Port is an input of an op, by the name it has in documents.
type Port struct {
	Name     string
	Doc      string
	Optional bool
	Variadic bool // the last port only: any number of inputs, at least one
	// Implicit names an input of the whole graph that an incremental run
	// connects when the document leaves the port out: "past".
	Implicit string
}

// Param is a weight of an op.
type Param struct {
	Name  string // "weight": the last part of its checkpoint name
	Shape []ir.Dim
	Init  string // how a new model fills it, as ir.State says
	// Blocks says that it may be stored in blocks along its last axis.
	Blocks bool
	// Statistic says that it is of the data, and that training changes it without a gradient, if at all.
	Statistic bool
}

// Case is one sampled use of an op: it drives the reference check, the
// gradient check, the cross-backend check, the benchmark and the docs alike.
type Case struct {
	Name string    // what is special about it, "" if nothing
	In   []ir.Type // ports and weights; the zero Type leaves a port out
	Attr any
	// Low and High bound the sampled values of every input; Bounds overrides
	// them for single inputs (indices, lengths).
	Low, High float64
	Bounds    map[int][2]float64
	Tol       float64 // relative to max(1, |y|), for f32; 0 means 1e-6; narrower results get one more unit in the last place
	GradTol   float64 // for the central-difference check, as Tol; 0 means 1e-6
	Large     bool    // for benchmarks, not for the reference check
	Quantised bool    // a Large one for weights in blocks alone
}

// Table holds every operation by name.
type Table struct {
	defs    []Def
	byName  map[string]int
	byTitle map[string]int
}

// NewTable checks defs and indexes them. An incomplete definition is an error.
func NewTable(defs ...Def) (*Table, error) {
	t := &Table{defs: slices.Clone(defs), byName: map[string]int{}, byTitle: map[string]int{}}
	for i, d := range defs {
		if err := t.check(d); err != nil {
			return nil, err
		}
		t.byName[d.Name] = i
		t.defs[i].Infer = checked(d)
		if d.Title != "" {
			t.byTitle[d.Title] = i
		}
	}
	return t, nil
}

func (t *Table) check(d Def) error {
	if _, dup := t.byName[d.Name]; dup || d.Name == "" {
		return fmt.Errorf("op %q: no name, or defined twice", d.Name)
	}
	if _, dup := t.byTitle[d.Title]; dup && d.Title != "" {
		return fmt.Errorf("op %s: title %s is taken", d.Name, d.Title)
	}
	if d.Infer == nil || d.Doc == "" || len(d.Cases) == 0 || (d.Ref == nil) == (d.Lower == nil) {
		return fmt.Errorf("op %s: need Doc, Infer, Cases, and exactly one of Ref and Lower", d.Name)
	}
	if d.Ref != nil && d.Grad == nil && !d.NoGrad {
		return fmt.Errorf("op %s: a primitive needs Grad, or NoGrad", d.Name)
	}
	if err := checkAttr(d.Attr); err != nil {
		return fmt.Errorf("op %s: %w", d.Name, err)
	}
	return d.checkNames()
}

// Defs returns all operations, in documentation order.
func (t *Table) Defs() []Def { return t.defs }

// Lookup finds an operation by name.
func (t *Table) Lookup(name string) (*Def, bool) {
	i, ok := t.byName[name]
	if !ok {
		return nil, false
	}
	return &t.defs[i], true
}

// FLOPs returns the floating-point operations of one call of n, whose types
// are Known.
func (t *Table) FLOPs(n *ir.Node) int64 {
	d, ok := t.Lookup(n.Op)
	if !ok {
		return 0
	}
	if d.Cost != nil {
		return d.Cost(ir.TypesOf(n.In), n.Types, n.Attr)
	}
	var sum int64
	for _, out := range n.Types {
		sum += int64(out.Elems())
	}
	return sum
}
