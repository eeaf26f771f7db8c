package learn

import (
	"math"

	"pipe.dev/executor/data"
)

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
		return r.evalExampleLoader(false)
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

// evalExampleLoader gives the examples of an evaluation, or, where only shapes matter, without pictures.
func (r *Run) evalExampleLoader(blank bool) (*data.ExampleLoader, error) {
	o := r.Recipe.Batch
	o.Order, o.Epochs, o.Evaluate, o.Blank = "file", 1, true, blank
	return r.evalExamples.Batches(o, r.random, data.Position{})
}

// blankLoaders give batches of the shapes that training and evaluation have, whose pictures are black.
func (r *Run) blankLoaders() (train, eval Loader, err error) {
	if r.examples == nil || !r.examples.OfFiles() {
		if train, err = r.loader(data.Position{}); err == nil && r.holdsOut() {
			eval, err = r.evalLoader()
		}
		return train, eval, err
	}
	o := r.Recipe.Batch
	o.Blank = true
	if train, err = r.examples.Batches(o, r.random, data.Position{}); err == nil && r.evalExamples != nil {
		eval, err = r.evalExampleLoader(true)
	}
	return train, eval, err
}
