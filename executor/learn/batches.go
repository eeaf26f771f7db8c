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
