package learn

import (
	"io"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/image"
	"pipe.dev/executor/model"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Compile makes the program of one phase of a part of a recipe: "step",
// "accumulate", "update" or "evaluate", or "begin" where updates are apart.
type Compile func(m *schema.Model, r *Recipe, p *Part, phase string, rows int, weight func(path string) (ir.DType, bool)) (Program, error)

// Options are what surrounds a recipe.
type Options struct {
	Backend kernels.Backend
	Host    kernels.Backend // where an optimizer may stay, if the device has memory of its own; else nil
	Compile Compile
	Weights Weights
	Forward model.Compile // of models whose results are computed once, before training; nil computes nothing
	Memory  int64         // bytes that the run may use, for remat: "auto"
	// HostMemory is how many bytes an optimizer may take on the host; 0 is any number.
	HostMemory int64
	Root       string      // folder of runs
	Version    string      // of pipe, noted in the run
	Warn       func(error) // is told of skipped rows and of checkpoints that are damaged; may be nil
	// Progress is told how far a task is that takes long before training; may be nil.
	Progress func(task string, done, total int64)
}

// Run is a recipe whose data are read and whose plans are made.
type Run struct {
	Recipe  *Recipe
	doc     *schema.Document
	opt     Options
	model   *schema.Model
	encoder data.Encoder
	train   *data.Dataset
	eval    *data.Dataset // nil if there is none

	examples, evalExamples *data.Examples // instead of them, of a recipe on numbers
	random                 []data.Random
	computed               []*computed // calls of models that are computed once

	plans  Plans
	phases []phasePlan
}

func newRun(doc *schema.Document, o Options) *Run {
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	return &Run{doc: doc, opt: o}
}

// Prepare reads the architecture and the data of a recipe, and makes its
// plans. Close the result.
func Prepare(doc *schema.Document, o Options) (*Run, error) {
	r := newRun(doc, o)
	err := r.openModel()
	if err == nil {
		err = r.checkModel()
	}
	if err == nil {
		err = r.openInputs()
	}
	if err == nil {
		err = r.checkData()
	}
	if err == nil {
		err = r.compile(r.holdsOut())
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Show writes the first batches of a recipe's data as text, with what the loss
// counts visible; of pictures, it gives a sheet of them, if that is asked for. Nothing is compiled.
func Show(doc *schema.Document, o Options, w io.Writer, s data.ShowOptions) (*image.Picture, error) {
	r := newRun(doc, o)
	defer r.Close()
	if err := r.openModel(); err != nil {
		return nil, err
	}
	if err := r.openInputs(); err != nil {
		return nil, err
	}
	if r.examples != nil {
		return r.showExamples(w, s)
	}
	l, err := r.textLoader(data.Position{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	d, ok := r.encoder.(data.Decoder)
	if !ok {
		return nil, r.mistake("data.tokenizer", "does not decode")
	}
	return nil, data.Show(w, l, d, s)
}

// openModel reads the recipe and the architecture.
func (r *Run) openModel() error {
	var err error
	if r.Recipe, err = Decode(r.doc.Recipe); err != nil {
		return err
	}
	if !r.Recipe.ofNumbers() {
		r.Recipe.ofText()
	}
	if err := r.Recipe.folders(); err != nil {
		return err
	}
	if err := r.agree(); err != nil {
		return err
	}
	if err := r.openMembers(); err != nil {
		return err
	}
	if err := r.openAdapters(); err != nil {
		return err
	}
	return r.checkOptions()
}

// openInputs reads the tokenizer and the data.
func (r *Run) openInputs() error {
	if r.Recipe.ofNumbers() {
		return r.openExamples()
	}
	var err error
	if r.encoder, err = r.openEncoder(); err != nil {
		return err
	}
	if err := r.checkVocabulary(); err != nil {
		return err
	}
	return r.openData()
}

// Close gives the data and the checkpoint back.
func (r *Run) Close() {
	if r.Recipe != nil {
		for _, m := range r.Recipe.members() {
			m.close()
		}
	}
	for _, d := range []*data.Dataset{r.train, r.eval} {
		if d != nil {
			d.Close()
		}
	}
}
