package learn

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/internal/suggest"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Compile makes the program of one phase of a part of a recipe: "step",
// "accumulate", "update" or "evaluate".
type Compile func(m *schema.Model, r *Recipe, p *Part, phase string, rows int, weight func(path string) (ir.DType, bool)) (Program, error)

// Options are what surrounds a recipe.
type Options struct {
	Backend kernels.Backend
	Compile Compile
	Weights Weights
	Memory  int64       // bytes that the run may use, for remat: "auto"
	Root    string      // folder of runs
	Version string      // of pipe, noted in the run
	Warn    func(error) // is told of skipped rows and of checkpoints that are damaged; may be nil
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

	plans  Plans
	phases []phasePlan
	base   *checkpoint.Checkpoint // of the model's folder, whose mapped pages weights that stay may lie in; nil for a new model
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
// counts visible. Nothing is compiled.
func Show(doc *schema.Document, o Options, w io.Writer, s data.ShowOptions) error {
	r := newRun(doc, o)
	defer r.Close()
	if err := r.openModel(); err != nil {
		return err
	}
	if err := r.openInputs(); err != nil {
		return err
	}
	if r.examples != nil {
		return r.showExamples(w, s)
	}
	l, err := r.textLoader(data.Position{})
	if err != nil {
		return err
	}
	defer l.Close()
	d, ok := r.encoder.(data.Decoder)
	if !ok {
		return r.mistake("data.tokenizer", "does not decode")
	}
	return data.Show(w, l, d, s)
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
	if err := r.openAdapter(); err != nil {
		return err
	}
	r.model = r.doc.Recipe.Model
	if from := r.Recipe.Model.From; from != "" {
		if r.model, err = schema.LoadModel(from); err != nil {
			return err
		}
	}
	if r.model == nil {
		return r.mistake("model", "give from, a folder, or config, an architecture to train from scratch, or graph, one of your own")
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
	if r.base != nil {
		r.base.Close()
	}
	if r.Recipe != nil && r.Recipe.from != nil {
		r.Recipe.from.Close()
	}
	for _, d := range []*data.Dataset{r.train, r.eval} {
		if d != nil {
			d.Close()
		}
	}
}

// openEncoder finds what turns text into ids.
func (r *Run) openEncoder() (data.Encoder, error) {
	if r.Recipe.Tokenizer == "characters" {
		return data.CharactersOf(slices.Concat(r.Recipe.Train, r.Recipe.Eval), data.Options{})
	}
	dir := r.tokenizerFolder()
	if dir == "" {
		return nil, r.mistake("data.tokenizer", `is "model", and a model without a folder has none: use "characters", or the folder of a tokenizer`)
	}
	if _, err := os.Stat(dir); dir != r.Recipe.Model.From && errors.Is(err, fs.ErrNotExist) {
		e := r.mistake("data.tokenizer", "there is no folder %q", dir)
		e.Hint = suggest.DidYouMean(dir, []string{"model", "characters"})
		return nil, e
	}
	return model.OpenTokenizer(dir)
}

// tokenizerFolder is where the tokenizer.json lies; "" if there is none.
func (r *Run) tokenizerFolder() string {
	switch r.Recipe.Tokenizer {
	case "characters":
		return ""
	case "model":
		return r.Recipe.Model.From
	}
	return r.Recipe.Tokenizer
}

// openData encodes the sources, or takes them from the cache.
func (r *Run) openData() error {
	o, err := r.dataOptions()
	if err != nil {
		return err
	}
	open := func(sources []data.Attr) (*data.Dataset, error) {
		var sets []*data.Dataset
		for _, a := range sources {
			d, err := data.Open(a, r.encoder, o)
			if err != nil {
				return nil, err
			}
			sets = append(sets, d)
		}
		return data.Mix(sets...), nil
	}
	all, err := open(r.Recipe.Train)
	if err != nil {
		return err
	}
	if r.train, r.eval = all.Split(); r.train.Summary().Tokens == 0 {
		return r.mistake(r.keeper(), "leaves nothing to train on of %d tokens", all.Summary().Tokens)
	}
	if len(r.Recipe.Eval) > 0 {
		if r.eval, err = open(r.Recipe.Eval); err != nil {
			return err
		}
	}
	return nil
}

// keeper is the path of the share that the first source keeps for evaluation.
func (r *Run) keeper() string {
	i := slices.IndexFunc(r.Recipe.Train, func(a data.Attr) bool { return a.Validation > 0 })
	return fmt.Sprintf("data.train.%d.validation", max(i, 0))
}

func (r *Run) dataOptions() (data.Options, error) {
	o := data.Options{Cache: filepath.Join(r.opt.Root, ".tokens"), Report: r.opt.Warn}
	switch e := r.encoder.(type) {
	case *data.Characters:
		o.Identity = e.Identity()
	case *tokenizer.Tokenizer:
		file := filepath.Join(r.tokenizerFolder(), "tokenizer.json")
		text, err := os.ReadFile(file)
		if err != nil {
			return o, checkpoint.FileError(file, err)
		}
		o.Identity = fmt.Sprintf("%x", sha256.Sum256(text))
		if end := e.EOS(); len(end) > 0 {
			o.End = end[:1]
		}
	}
	return o, nil
}

// compile makes the plans of all parts.
func (r *Run) compile(evaluate bool) error {
	if err := r.openBase(); err != nil {
		return err
	}
	for i := range r.Recipe.Parts {
		p := &r.Recipe.Parts[i]
		if err := p.complete(); err != nil {
			return err
		}
		made, err := r.partPlans(p, evaluate)
		if err != nil {
			return err
		}
		r.plans = append(r.plans, made)
	}
	return r.remat()
}

// partPlans makes the plans of one part, for every length of rows.
func (r *Run) partPlans(p *Part, evaluate bool) (made PartPlans, err error) {
	plans := func(phase string) (map[int]*plan.Plan, error) { return r.phasePlans(p, phase) }
	if r.Recipe.Accumulates() {
		made.Accumulate, err = plans("accumulate")
		if err != nil {
			return made, err
		}
		update, err := plans("update")
		if err != nil {
			return made, err
		}
		for _, made.Update = range update { // there is one
		}
	} else if made.Step, err = plans("step"); err != nil {
		return made, err
	}
	if evaluate {
		made.Evaluate, err = plans("evaluate")
	}
	return made, err
}

// phasePlans makes the plans of one phase: of text, for every length of rows, of
// examples, for every number of them.
func (r *Run) phasePlans(p *Part, phase string) (map[int]*plan.Plan, error) {
	batch := r.Recipe.Batch
	lengths := []int{batch.Seq}
	switch {
	case phase == "update":
		lengths = []int{0}
	case r.examples != nil && phase == "evaluate":
		lengths = r.evalRows()
	case r.Recipe.ofNumbers():
		lengths = []int{batch.Batch}
	case batch.Rows == "bucket":
		lengths = batch.Buckets
	}
	out := map[int]*plan.Plan{}
	var program Program
	for i, n := range lengths {
		sizes := map[string]int{"batch": batch.Batch, "seq": n}
		switch {
		case phase == "update":
			sizes = map[string]int{}
		case r.Recipe.ofNumbers():
			sizes = map[string]int{"batch": n}
		}
		var err error
		if i == 0 || r.Recipe.ofNumbers() {
			if program, err = r.opt.Compile(r.model, r.Recipe, p, phase, sizes["batch"], r.held); err != nil {
				return nil, err
			}
		}
		if out[n], err = program.Plan(sizes); err != nil {
			return nil, err
		}
		out[n].Name = planName(p.Name, phase, n, len(lengths) > 1)
		r.phases = append(r.phases, phasePlan{program, sizes, out[n], func(p *plan.Plan) { out[n] = p }})
	}
	return out, nil
}

// planName is how a plan is called: "step", "generator.step", "step.128".
func planName(part, phase string, seq int, several bool) string {
	name := strings.TrimPrefix(part+"."+phase, ".")
	if several {
		name += fmt.Sprintf(".%d", seq)
	}
	return name
}

// Plans are the plans of all phases.
func (r *Run) Plans() []*plan.Plan { return r.plans.all() }

// loader gives the training batches from a position.
func (r *Run) loader(from data.Position) (Loader, error) {
	if r.examples != nil {
		return r.examples.Batches(r.Recipe.Batch, r.random, from)
	}
	return r.textLoader(from)
}

func (r *Run) textLoader(from data.Position) (*data.Loader, error) {
	o := r.Recipe.Batch
	o.Prefetch = 2
	l, err := r.train.Batches(o, from)
	return l, r.placed("batch", err)
}

// epoch is how many batches go once through the training data.
func (r *Run) epoch() (int64, error) {
	o := r.Recipe.Batch
	o.Epochs = 1
	return r.train.Count(o, math.MaxInt64)
}

// evalLoader gives the evaluation batches, the same every time.
func (r *Run) evalLoader() (Loader, error) {
	if r.evalExamples != nil {
		o := r.Recipe.Batch
		o.Order, o.Epochs = "file", 1
		return r.evalExamples.Batches(o, r.random, data.Position{})
	}
	l, err := r.eval.Batches(r.evalOptions(), data.Position{})
	return l, r.placed("batch", err)
}

// evalOptions are those of the training batches, but for the order: the same
// rows every time, and all of every document.
func (r *Run) evalOptions() data.BatchOptions {
	o := r.Recipe.Batch
	if o.Order == "random" || r.Recipe.Evaluate.Batches > 0 {
		o.Order = "shuffle" // the same rows every time, from everywhere
	}
	if o.Epochs = 1; !r.eval.Paired() {
		o.Long = "split"
	}
	return o
}
