package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/internal/suggest"
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
	errs = append(errs, r.checkSaved(r.pathsOf(r.Recipe.Model, paths))...)
	for _, m := range r.Recipe.members() {
		errs = append(errs, r.matching(m.Path()+".stds", slices.Sorted(maps.Keys(m.Stds)), r.pathsOf(m, paths), "matches no weight of the model")...)
	}
	if len(errs) == 0 {
		paths = r.withAdapters(paths, linear)
		errs = append(r.checkTrained(paths), r.checkDecay(paths)...)
	}
	errs = append(errs, r.checkLength()...)
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// withAdapters are the paths of weights that are trained, or might be: where a
// model has an adapter, those of it alone.
func (r *Run) withAdapters(paths, linear []string) []string {
	out := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { m, _ := r.Recipe.of(path); return m.Adapter != nil })
	for _, path := range linear {
		if l, ok := r.Recipe.AdaptedLayer(path); ok {
			adapter := train.AdapterOf(path)
			out = append(out, adapter.A, adapter.B)
			if l.DoRA {
				out = append(out, adapter.Magnitude)
			}
		}
	}
	return out
}

// pathsOf are those of a model's own among paths of the recipe.
func (r *Run) pathsOf(m *Member, paths []string) (own []string) {
	for _, path := range paths {
		if of, rest := r.Recipe.of(path); of == m {
			own = append(own, rest)
		}
	}
	return own
}

// checkTargets wants the layers that adapters are for to be there.
func (r *Run) checkTargets(linear []string) (errs schema.Errors) {
	for _, m := range r.Recipe.members() {
		own := r.pathsOf(m, linear)
		switch {
		case m.from != nil:
			errs = append(errs, r.checkFrom(m, own)...)
		case m.Adapter != nil:
			errs = append(errs, r.checkTargetsOf(m, own)...)
		}
	}
	return errs
}

// checkTargetsOf wants every target that was written, and one at least of those
// that are the default, to be a linear layer.
func (r *Run) checkTargetsOf(m *Member, linear []string) schema.Errors {
	a, at := m.Adapter, m.Path()+".adapter.targets"
	errs := r.matching(at, a.Targets, linear, "is no linear layer of the model")
	if _, written := r.doc.Recipe.Written(at); written {
		return errs
	}
	if len(errs) < len(a.Targets) {
		return nil
	}
	e := r.mistake(at, "none of %s is a linear layer of the model", strings.Join(a.Targets, ", "))
	e.Hint = near("", linear)
	return schema.Errors{e}
}

// checkFrom wants every layer of the adapter that is trained on to be a linear
// layer.
func (r *Run) checkFrom(m *Member, linear []string) (errs schema.Errors) {
	for _, l := range m.from.Layers {
		if !slices.Contains(linear, l.Path) {
			e := r.mistake(m.Path()+".adapter.from", "%s adapts %s, which is no linear layer of the model", m.from.Dir, l.Path)
			e.Hint = near(l.Path, linear)
			errs = append(errs, e)
		}
	}
	return errs
}

// checkFreeze wants patterns of weights to match some.
func (r *Run) checkFreeze(paths []string) (errs schema.Errors) {
	for _, m := range r.Recipe.members() {
		errs = append(errs, r.matching(m.Path()+".freeze", m.Freeze, r.pathsOf(m, paths), "matches no weight of the model")...)
	}
	for i, p := range r.Recipe.Parts {
		if p.Name != "" {
			errs = append(errs, r.matching(fmt.Sprintf("phases.%d.update", i), p.Update, paths, "matches no weight of the model")...)
		}
	}
	for i, x := range r.Recipe.Rates {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(x.Pattern, path) }) {
			e := r.mistake(fmt.Sprintf("rates.%d.pattern", i), "%q matches no weight of the model", x.Pattern)
			e.Hint = near(x.Pattern, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

// checkTrained wants every part to have a weight that it changes.
func (r *Run) checkTrained(paths []string) (errs schema.Errors) {
	for i := range r.Recipe.Parts {
		p, at := &r.Recipe.Parts[i], "model.freeze"
		if len(r.Recipe.Models) > 0 {
			at = "models"
		}
		if p.Name != "" {
			at = fmt.Sprintf("phases.%d.update", i)
		}
		if !slices.ContainsFunc(paths, func(path string) bool { return r.Recipe.Trained(p, path) }) {
			errs = append(errs, r.mistake(at, "leaves no weight that is trained"))
		}
	}
	return errs
}

// checkBalance wants biases that follow the load of experts to be there.
func (r *Run) checkBalance(paths []string) schema.Errors {
	b := r.Recipe.Balance
	if b == nil || slices.ContainsFunc(paths, func(path string) bool { return train.Match(b.Bias, path) }) {
		return nil
	}
	e := r.mistake("balance.bias", "%q matches no weight of the model", b.Bias)
	e.Hint = near(b.Bias, paths)
	return schema.Errors{e}
}

// matching wants each pattern of a list to match one of the paths.
func (r *Run) matching(at string, patterns, paths []string, fact string) schema.Errors {
	var errs schema.Errors
	for i, p := range patterns {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(p, path) }) {
			e := r.mistake(fmt.Sprintf("%s.%d", at, i), "%q %s", p, fact)
			e.Hint = near(p, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

func (r *Run) checkDecay(paths []string) schema.Errors {
	var errs schema.Errors
	for i, rule := range r.Recipe.Decay {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(rule.Pattern, path) }) {
			e := r.mistake(fmt.Sprintf("decay.%d.pattern", i), "%q matches no weight that is trained", rule.Pattern)
			e.Hint = near(rule.Pattern, paths)
			errs = append(errs, e)
		}
	}
	return errs
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

// near says which paths there are, those of a stack once, or only those with
// the part that may have been meant.
func near(pattern string, paths []string) string {
	const most = 16
	var words, shown []string
	for _, p := range paths {
		words = append(words, strings.Split(p, ".")...)
		if p = numbers.ReplaceAllString(p, "$1*$2"); !slices.Contains(shown, p) {
			shown = append(shown, p)
		}
	}
	begin, end := "there are ", ""
	for _, part := range strings.FieldsFunc(pattern, func(c rune) bool { return c == '.' || c == '*' }) {
		if slices.Contains(words, part) {
			continue
		}
		if word := suggest.Nearest(part, words); word != "" {
			shown = slices.DeleteFunc(shown, func(p string) bool { return !slices.Contains(strings.Split(p, "."), word) })
			begin, end = "did you mean ", "?"
			break
		}
	}
	if n := len(shown) - most; n > 0 {
		shown, end = shown[:most], fmt.Sprintf(" and %d more%s", n, end)
	}
	return begin + strings.Join(shown, ", ") + end
}
