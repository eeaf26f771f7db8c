// Package train says what training is, as transforms of graphs: optimizers,
// objectives, clipping and averages are formulas in the operations of
// compiler/op, schedules are functions of the step. Each is a row of an
// explicit table, in a file of its own; its attribute struct gives its CUE
// definition and its documentation.
//
// The package runs nothing, reads no documents, and decides neither which
// weights are trained nor when a step ends: whoever builds the graph of a
// training step does.
package train

import (
	"fmt"

	"pipe.dev/compiler/attr"
)

// Def is what the rows of all tables have.
type Def struct {
	Name   string // "adamw": the field name in documents
	Title  string // "AdamW": documents write train.#AdamW
	Doc    string // the formula, after the title
	Source string // paper, or whose definition it follows
	Attr   any    // zero value of the attribute struct, nil if there is none

	check func(attr any) error // what CUE does not say of attributes; may be nil
}

func (d *Def) def() *Def { return d }

// Default returns the attributes of a document that says nothing.
func (d *Def) Default() (any, error) {
	a, err := attr.Default(d.Attr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	return a, nil
}

// Decode fills the attribute struct from the fields of a validated document,
// as encoding/json decodes them with UseNumber.
func (d *Def) Decode(m map[string]any) (any, error) {
	a, err := attr.Decode(d.Attr, m)
	if err == nil && d.check != nil {
		err = d.check(a)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	return a, nil
}

// row is a definition of one of the tables.
type row interface {
	def() *Def
	complete() error  // whether all parts of its kind are there
	rows() []attr.Row // fields besides the attributes
}

// Table holds the definitions of one kind by name, in documentation order.
type Table[R row] struct {
	kind string // "optimizer"
	list []R
	at   map[string]R
}

func newTable[R row](kind string, list ...R) (*Table[R], error) {
	t := &Table[R]{kind: kind, list: list, at: map[string]R{}}
	titles := map[string]bool{}
	for _, r := range list {
		d := r.def()
		if _, dup := t.at[d.Name]; dup || titles[d.Title] || d.Name == "" || d.Title == "" || d.Doc == "" || d.Source == "" {
			return nil, fmt.Errorf("%s %q: need a Name and a Title of its own, Doc and Source", kind, d.Name)
		}
		if err := r.complete(); err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, d.Name, err)
		}
		if _, err := d.Default(); err != nil {
			return nil, fmt.Errorf("%s %w", kind, err)
		}
		t.at[d.Name], titles[d.Title] = r, true
	}
	return t, nil
}

// Defs returns all definitions, in order.
func (t *Table[R]) Defs() []R { return t.list }

// Names lists them by name, in order.
func (t *Table[R]) Names() []string {
	var out []string
	for _, r := range t.list {
		out = append(out, r.def().Name)
	}
	return out
}

// Lookup finds a definition by name.
func (t *Table[R]) Lookup(name string) (R, bool) {
	r, ok := t.at[name]
	return r, ok
}

// Optimizers returns the table of all optimizers.
func Optimizers() (*Table[*Optimizer], error) {
	return newTable("optimizer", sgd(), adam(), adamW(), rmsProp(), adagrad(), lion(), muon(), adafactor(), adamW8(), lion8())
}

// Objectives returns the table of all objectives.
func Objectives() (*Table[*Objective], error) {
	return newTable("objective", crossEntropy(), softCrossEntropy(), mse(), l1(), huber(), bce(), focal(), kl(), infoNCE(), triplet(), dpo(), loadBalance(), routerZ(),
		gaussianKL(), adversarial(), mean())
}

// Schedules returns the table of all schedules.
func Schedules() (*Table[*Schedule], error) {
	return newTable("schedule", constant(), linear(), cosine(), cosineRestarts(), exponential(), stepwise(),
		polynomial(), cyclic(), inverseSqrt(), wsd(), oneCycle())
}
