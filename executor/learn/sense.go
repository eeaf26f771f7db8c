package learn

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/schema"
)

// checkPairs wants pairs for losses that compare two answers, and such a loss
// for data that are pairs.
func (r *Run) checkPairs() error {
	var names []string
	pairs := false
	for _, p := range r.Recipe.Parts {
		for _, t := range p.Losses {
			names = append(names, t.Objective.Name)
			pairs = pairs || t.Objective.Pairs
		}
	}
	for i, a := range slices.Concat(r.Recipe.Train, r.Recipe.Eval) {
		path := r.sourcePath(i) + ".format"
		switch paired := a.Paired(); {
		case pairs && !paired:
			e := r.mistake(path, "is %q, and %s compares two answers to a question", a.Format, names[0])
			e.Hint = `want format: "preference"`
			return e
		case paired && !pairs:
			e := r.mistake(path, "is %q, whose rows are pairs, and %s takes each answer alone", a.Format, names[0])
			e.Hint = `want objective: name: "dpo"`
			return e
		}
	}
	return nil
}

// sourcePath is where a source stands in the document, those for evaluation
// after those for training.
func (r *Run) sourcePath(i int) string {
	if n := len(r.Recipe.Train); i >= n {
		return fmt.Sprintf("data.eval.%d", i-n)
	}
	return fmt.Sprintf("data.train.%d", i)
}

// tellRates warns of a schedule that never comes near the learning rate, as one
// whose warm-up is longer than the training.
func (r *Run) tellRates() {
	for i, turn := range r.turns() {
		p := &r.Recipe.Parts[i]
		turns, most := turn.count(r.Recipe.Steps.Steps), 0.0
		for n := 1; n <= turns && most < p.Rate/2; n++ {
			most = max(most, turn.Rate(n))
		}
		if most >= p.Rate/2 {
			continue
		}
		path := "schedule"
		if p.Name != "" {
			path = fmt.Sprintf("phases.%d.schedule", i)
		}
		if _, ok := r.doc.Recipe.Written(path + ".warmup_steps"); ok {
			path += ".warmup_steps"
		}
		r.opt.Warn(r.mistake(path, "in %d steps, the learning rate does not exceed %.3g, of %.3g", turns, most, p.Rate))
	}
}

// readsText refuses text for a graph of the document that has no ids.
func (r *Run) readsText() error {
	if r.model == nil || r.model.Arch != "" || r.Recipe.Model.From != "" {
		return nil
	}
	var names []string
	for _, n := range r.model.Inputs() {
		names = append(names, n.ID)
	}
	if slices.Contains(names, "ids") {
		return nil
	}
	e := r.mistake("data.train.0", "is text, and the model has no input ids; its inputs are %s", strings.Join(names, ", "))
	e.Hint = "format: \"columns\" makes them of numbers"
	return e
}

// checkAdaptive wants the weights that losses adapt to, to be there.
func (r *Run) checkAdaptive(paths []string) (errs schema.Errors) {
	for i, p := range r.Recipe.Parts {
		for j, t := range p.Losses {
			if t.Adaptive == "" || slices.Contains(paths, t.Adaptive) {
				continue
			}
			e := r.mistake(fmt.Sprintf("phases.%d.losses.%d.adaptive", i, j), "is %q, which is no weight of the model", t.Adaptive)
			e.Hint = near(t.Adaptive, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

// checkCounts refuses micro-batches for several losses whose counts depend on
// the data: their means would be those of micro-batches, not of the step.
func (r *Run) checkCounts() error {
	if r.Recipe.Steps.Accumulate == 1 {
		return nil
	}
	for _, p := range r.Recipe.Parts {
		for _, t := range p.Losses {
			if t.Adaptive != "" {
				e := r.mistake("train.accumulate", "is %d, and phase %s has a loss whose weight adapts to gradients: a step would not equal one big batch", r.Recipe.Steps.Accumulate, p.Name)
				e.Hint = "accumulate: 1"
				return e
			}
			if len(p.Losses) > 1 && t.CountVaries() {
				e := r.mistake("train.accumulate", "is %d, and phase %s has several losses, of which %s counts by its data: a step would not equal one big batch",
					r.Recipe.Steps.Accumulate, p.Name, t.Objective.Name)
				e.Hint = "accumulate: 1, or a phase of its own"
				return e
			}
		}
	}
	return nil
}
