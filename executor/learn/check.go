package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/schema"
)

// Weights lists the weights of a model with its losses, and the paths of its linear layers.
type Weights func(m *schema.Model, losses []train.Term) (weights []*ir.State, linear []string, err error)

// Check reports what is wrong with a recipe as far as its document alone shows:
// neither its data nor the folder of its model are read.
func Check(doc *schema.Document, o Options) error {
	r := newRun(doc, o)
	r.model = doc.Recipe.Model
	var err error
	if r.Recipe, err = Decode(doc.Recipe); err != nil {
		return err
	}
	if !r.Recipe.ofNumbers() {
		r.Recipe.ofText()
	}
	if err := r.checkOptions(); err != nil || r.model == nil {
		return err
	}
	for _, m := range r.Recipe.members() {
		if m.arch = doc.Recipe.Model; m.Name != "" {
			m.arch = doc.Recipe.Models[m.Name]
		}
		if m.From != "" && (m.Name == "" || m.arch == nil) { // the folder says what it is
			return nil
		}
	}
	if err := r.connect(); err != nil {
		return err
	}
	if err := r.checkModel(); err != nil {
		return err
	}
	return r.compile(r.evaluates())
}

// mistake is an error of the document at one of its paths.
func (r *Run) mistake(path, format string, args ...any) *schema.Error {
	return &schema.Error{Pos: r.doc.Recipe.Place(path), Msg: fmt.Sprintf(format, args...)}
}

// placed says where in the document an option stands that does not fit.
func (r *Run) placed(path string, err error) error {
	var o *data.OptionError
	if errors.As(err, &o) {
		return r.mistake(path+"."+o.Field, "%s", o.Msg)
	}
	return err
}

// evaluates reports whether the document names data for evaluation.
func (r *Run) evaluates() bool {
	return len(r.Recipe.Eval) > 0 || slices.ContainsFunc(r.Recipe.Train, func(a data.Attr) bool { return a.Validation > 0 })
}

// checkOptions looks at what needs neither model nor data.
func (r *Run) checkOptions() error {
	for i, a := range slices.Concat(r.Recipe.Train, r.Recipe.Eval) {
		if err := a.Check(); err != nil {
			return r.placed(r.sourcePath(i), err)
		}
	}
	batch := r.Recipe.Batch
	if r.Recipe.ofNumbers() {
		batch.Seq = 1
	} else if err := r.readsText(); err != nil {
		return err
	}
	if err := batch.Check(); err != nil {
		return r.placed("batch", err)
	}
	if err := errors.Join(r.checkPairs(), r.checkCounts()); err != nil {
		return err
	}
	for _, m := range r.Recipe.members() {
		if len(m.Freeze) > 0 && m.Adapter != nil {
			return r.mistake(m.Path()+".freeze", "has no meaning beside %s.adapter, which leaves all weights of the model as they are", m.Path())
		}
	}
	return nil
}

// checkModel holds the recipe against the weights and the positions that the
// model has.
func (r *Run) checkModel() error {
	if every := r.Recipe.Evaluate.Every; every > 0 && !r.evaluates() {
		e := r.mistake("eval.every", "is %d, but there is no data for evaluation, so that there is none", every)
		e.Hint = "give data.eval, or validation: 0.1 in a source of data.train"
		r.opt.Warn(e)
	}
	r.tellRates()
	for _, m := range r.Recipe.members() {
		if m.arch != nil {
			for _, field := range m.arch.Unread {
				r.opt.Warn(field)
			}
		}
	}
	if err := r.checkNames(); err != nil {
		return err
	}
	var losses []train.Term
	for _, p := range r.Recipe.Parts {
		losses = append(losses, p.Losses...)
	}
	weights, linear, err := r.opt.Weights(r.model, losses)
	if err != nil {
		return err
	}
	paths := make([]string, len(weights))
	for i, w := range weights {
		paths[i] = w.Path
	}
	errs := append(r.checkTargets(linear), r.checkFreeze(paths)...)
	errs = append(errs, r.checkBalance(paths)...)
	errs = append(errs, r.checkAdaptive(paths)...)
	errs = append(errs, r.checkBeginnings(paths)...)
	errs = append(errs, r.checkSaved(r.pathsOf(r.Recipe.Model, paths))...)
	for _, m := range r.Recipe.members() {
		errs = append(errs, r.matching(m.Path()+".stds", slices.Sorted(maps.Keys(m.Stds)), r.pathsOf(m, paths), "matches no weight of the model")...)
	}
	if len(errs) == 0 {
		paths = r.withAdapters(paths, linear)
		errs = append(r.checkTrained(paths), r.checkDecay(paths)...)
		errs = append(errs, r.checkNorms(paths)...)
	}
	errs = append(errs, r.checkLength()...)
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// checkLength refuses rows that are longer than what the model has positions
// for. Models whose rotary positions are scaled are known to reach further.
func (r *Run) checkLength() schema.Errors {
	seq, most := r.Recipe.Batch.Seq, r.model.Context
	if most <= 0 || seq <= most {
		return nil
	}
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		if m, ok := r.model.Config[key].(map[string]any); ok && m["factor"] != nil {
			r.opt.Warn(r.mistake("batch.seq", "is %d, more than the %d positions that the model was trained on", seq, most))
			return nil
		}
	}
	return schema.Errors{r.mistake("batch.seq", "is %d, and the model has %d positions (max_position_embeddings)", seq, most)}
}

// checkVocabulary compares the ids that there may be with those that the model
// has.
func (r *Run) checkVocabulary() error {
	number, ok := r.model.Config["vocab_size"].(json.Number)
	if !ok {
		return nil // a graph of its own; its embedding reports ids that it lacks
	}
	have, err := number.Int64()
	if err == nil && int64(r.encoder.Size()) > have {
		return r.mistake("model.config.vocab_size", "is %d, but the data need %d", have, r.encoder.Size())
	}
	return nil
}

// checkData refuses data that give no batch, or end before training does.
func (r *Run) checkData() error {
	if r.examples != nil { // see openExamples
		return nil
	}
	o := r.Recipe.Batch
	parts := int64(r.Recipe.Steps.Accumulate)
	need := int64(1)
	if o.Epochs > 0 {
		need = int64(r.Recipe.Steps.Steps) * parts
	}
	have, err := r.train.Count(o, need)
	if err != nil {
		return r.placed("batch", err)
	}
	if have < need {
		e := r.mistake("train.steps", "is %d, and the data end after %d with batch.epochs: %d", r.Recipe.Steps.Steps, have/parts, o.Epochs)
		e.Hint = "batch.epochs: 0 goes through the data without end"
		return e
	}
	if r.eval == nil {
		return nil
	}
	_, err = r.eval.Count(r.evalOptions(), 1)
	var file *checkpoint.Error
	if errors.As(err, &file) {
		err = &checkpoint.Error{File: file.File, Msg: "what is kept for evaluation " + file.Msg}
		if len(r.Recipe.Eval) > 0 {
			err = &checkpoint.Error{File: file.File, Msg: "data.eval: " + file.Msg}
		}
	}
	return r.placed("batch", err)
}

var numbers = regexp.MustCompile(`(^|\.)\d+(\.|$)`)
