// Package stage says what the steps of a pipeline are: an explicit table of
// definitions, one file each. A definition's attribute struct yields its CUE
// definition and its documentation.
//
// A stage knows models only through executor/model, and never by name.
package stage

import (
	"context"
	"fmt"
	"io"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/data"
	"pipe.dev/executor/model"
)

// Def defines one stage.
type Def struct {
	Name   string // "generate"
	Title  string // "Generate": documents call it pipeline.#Generate
	Doc    string // one line
	Ports  []Port
	Attr   any // zero value of the attribute struct, nil if there is none
	Result Kind

	// Prepare says what the run will need of the models, before anything is
	// read. Values that are not known yet are nil. It may be nil.
	Prepare func(c *Call) error
	// Promise says what is known of the result before anything is read: a tensor
	// with a type and no data, or nil. It is called after Prepare, and may be nil.
	Promise func(c *Call) Value
	// Early says that Run needs no weights and costs little: it runs before
	// anything is read as soon as its inputs are known, so that the sizes of
	// what others need follow from its result.
	Early bool
	// Run computes the result.
	Run func(ctx context.Context, c *Call) (Value, error)

	// Rows says that a row of the result depends on no other rows than those of its number.
	Rows bool
	// Sample describes a row of what Run gave, of a stage that begins with noise; nil where it does not.
	Sample func(c *Call, row int) Sample

	// Note is what a plan says of a prepared call besides its models: what it costs; "" for nothing. It may be nil.
	Note func(c *Call) string

	// Words says that of its models it uses the tokenizers alone, no weights.
	Words bool
	// Lazy says that the models of a call may still be running when Run has returned. Nil means that they are not.
	Lazy func(attr any) bool
	// Flows says that Run takes tensors while they are being made; others get them whole.
	Flows bool
	// Elements says that the result is an Each: what reads it runs once for each element, up to stages that Gathers marks,
	// which get an Each.
	Elements, Gathers bool
	// Own is the memory in bytes that Run takes besides inputs, result and
	// models, of a prepared call; nil where that is little.
	Own func(c *Call) int64
	// Smaller changes a prepared call so that it needs less memory and gives the
	// same bits, and reports whether there was a way. It may be nil.
	Smaller func(c *Call) (bool, error)
	// Tiles changes a prepared call so that it works in tiles of a size, which
	// gives another result, or reports that the document does not allow it. It may be nil.
	Tiles func(c *Call, size int) (*Tiled, error)
}

// Tiled says what tiles cost.
type Tiled struct {
	Size  int
	Count int
	More  float64 // how many times what it takes to compute the whole
}

// Port is an input of a stage.
type Port struct {
	Name  string
	Doc   string
	Kinds []Kind // what it accepts
	Map   bool   // several inputs, each under a name of the document's choice

	Optional bool // documents may leave it out
}

// Call is one use of a stage in a pipeline.
type Call struct {
	ID   string
	Attr any
	In   map[string]Value            // by port
	Maps map[string]map[string]Value // by port and name, for ports that are maps
	// Progress is told of steps that were made, of so many; may be nil.
	Progress func(done, total int)
	Warn     func(error) // is told of what a run does in spite of; may be nil
	// Document is what a file says of where it comes from, that holds a row of several;
	// nil if nobody knows.
	Document func(row, rows int, file string) (Document, error)
	Reads    func(file string) // is told of files that are read; may be nil
	// Out gives what takes the place of the file "-", or says why there is nothing. It is asked once, by Prepare; may be nil.
	Out func() (io.Writer, error)
	// Sounded is told how many seconds of sound are written so far, while it is; may be nil.
	Sounded func(seconds float64)
	kept    any // what Prepare leaves for Run
}

// UnknownError says that a stage needs to know something before the run that is
// not known.
type UnknownError struct{ Msg string }

func (e *UnknownError) Error() string { return e.Msg }

// Document is the document that makes what a file holds.
type Document struct {
	Resolved []byte         // as CUE, with every default
	Hash     string         // "sha256:..." of it
	Set      []string       // NAME=VALUE: what was set when it was run
	Seed     *int           // of the noise that it was made of; nil if there is none, or several
	Files    []data.FileSum // that it was made of
}

// Sample is one of several that a stage makes by their seeds.
type Sample struct {
	Of   int // so many
	Seed int
	Set  []string // FIELD=VALUE: so the stage makes it alone, to the same bits
}

// always is Lazy of stages that hand on what is still being made.
func always(any) bool { return true }

// read tells of a file that is read.
func (c *Call) read(file string) {
	if c.Reads != nil {
		c.Reads(file)
	}
}

// Model returns the model at a port.
func (c *Call) Model(port string) *model.Model {
	m, _ := c.In[port].(*model.Model)
	return m
}

// Table holds every stage by name.
type Table struct {
	defs []*Def
	at   map[string]*Def
}

// New returns the table of all stages, in documentation order.
func New() (*Table, error) {
	return NewTable(lines(), tokenize(), messages(), generate(), detokenize(), embed(), similarity(), run(), classes(), pick(), numbers(), labels(), join(), prompt(), denoise(),
		imageRead(), imageResize(), imageBlur(), imageCrop(), imageTurn(), imageAugment(), imagePrepare(), imageTensor(), tensorImage(), imageMix(), imageGrid(), imageCompare(), imageWrite(),
		audioRead(), audioTensor(), audioWrite(), audioMeasure(), audioPlot(), stream(), segments(), transcribe(), spread(), noise(), spokenText(), sentences(), phonemes(), words())
}

// NewTable checks defs and indexes them.
func NewTable(defs ...*Def) (*Table, error) {
	t := &Table{defs: defs, at: map[string]*Def{}}
	for _, d := range defs {
		if d.Name == "" || d.Title == "" || d.Doc == "" || d.Result == "" || d.Run == nil || t.at[d.Name] != nil {
			return nil, fmt.Errorf("stage %q: need a name of its own, Title, Doc, Result and Run", d.Name)
		}
		if _, err := attr.Fields(d.Attr); err != nil {
			return nil, fmt.Errorf("stage %s: %w", d.Name, err)
		}
		for _, p := range d.Ports {
			if p.Doc == "" || len(p.Kinds) == 0 {
				return nil, fmt.Errorf("stage %s: port %s: need Doc and Kinds", d.Name, p.Name)
			}
		}
		t.at[d.Name] = d
	}
	return t, nil
}

// Lookup finds a stage by name.
func (t *Table) Lookup(name string) (*Def, bool) {
	d, ok := t.at[name]
	return d, ok
}
