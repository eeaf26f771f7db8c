package learn

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
)

// Tried is how long steps and batches of a recipe took when they were tried.
type Tried struct {
	Steps   []float64 // seconds of each step of the optimizer
	Trained float64   // tokens that were trained in a step, or examples, on average
	Unit    string    // what Trained counts: "tokens" or "examples"
	Evals   []float64 // seconds of each batch of an evaluation
	Bytes   int64     // that the states and the work arena take
	Plans   []Watched // what ran in these steps, or in others after them
	Watched int       // steps of the optimizer in which that was noted
}

// Watched is what the steps of a plan took in all steps of the optimizer that were timed.
type Watched struct {
	Plan  *plan.Plan
	Took  []time.Duration // of each step of the plan
	Calls int             // of the plan
}

// untimed is how many steps come before those that count.
const untimed = 2

// Try trains for a while without a run folder, and forgets what it learned: at
// least the given number of steps and batches of an evaluation, and as many as
// there is time for, if the recipe has as many. When ctx ends it returns what
// there is with the error of ctx. hear is told of each.
func (r *Run) Try(ctx context.Context, fewest int, most time.Duration, hear func(what string, done int)) (_ *Tried, err error) {
	t, err := r.trainer(nil)
	if err != nil {
		return nil, err
	}
	defer func() { t.train.Close(); err = errors.Join(err, t.Close()) }()
	out := &Tried{Bytes: t.Bytes(), Unit: "tokens"}
	if r.examples != nil {
		out.Unit = "examples"
	}
	before := min(untimed, t.cfg.Steps-1)
	whole := false
	for _, s := range t.sessions {
		whole = whole || s.Whole()
	}
	if whole {
		before = min(before+1, t.cfg.Steps-1) // a device learns a plan in its second run
	}
	var trained int64
	for begin := time.Now(); t.step < t.cfg.Steps; {
		if n := len(out.Steps); n >= fewest && time.Since(begin) > most {
			break
		}
		hear("steps", len(out.Steps))
		if t.step == before && !whole {
			out.watch(t)
		}
		tokens, from := t.tokens, time.Now()
		if err := t.oneAndWait(ctx); err != nil {
			return out, err
		}
		if t.step > before {
			out.Steps = append(out.Steps, time.Since(from).Seconds())
			trained += t.tokens - tokens
			out.Trained = float64(trained) / float64(len(out.Steps))
		}
	}
	out.Watched = len(out.Steps)
	if whole { // what steps of plans take is another thing there
		out.watch(t)
		for out.Watched = 0; out.Watched < fewest && t.step < t.cfg.Steps; out.Watched++ {
			if err := t.oneAndWait(ctx); err != nil {
				return out, err
			}
		}
	}
	for _, s := range t.sessions {
		s.Watch(nil)
	}
	out.Plans = slices.DeleteFunc(out.Plans, func(w Watched) bool { return w.Calls == 0 })
	if !r.holdsOut() {
		return out, nil
	}
	return out, r.tryEvaluation(ctx, t, out, fewest, most, hear)
}

// oneAndWait is a step of the optimizer that is done when it returns.
func (t *Trainer) oneAndWait(ctx context.Context) error {
	_, err := t.one(ctx)
	for _, s := range t.sessions {
		if err == nil && s.Whole() {
			err = s.Wait(ctx)
		}
	}
	return err
}

// watch notes from now on what the steps of all plans take.
func (o *Tried) watch(t *Trainer) {
	for p := range t.sessions {
		o.Plans = append(o.Plans, Watched{Plan: p, Took: make([]time.Duration, len(p.Steps))})
	}
	slices.SortFunc(o.Plans, func(a, b Watched) int { return strings.Compare(a.Plan.Name, b.Plan.Name) })
	for i := range o.Plans {
		w := &o.Plans[i]
		t.sessions[w.Plan].Watch(func(step int, took time.Duration) {
			if w.Took[step] += took; step == 0 {
				w.Calls++
			}
		})
	}
}

// tryEvaluation measures batches of an evaluation, the first of them twice and
// once not.
func (r *Run) tryEvaluation(ctx context.Context, t *Trainer, out *Tried, fewest int, most time.Duration, hear func(string, int)) error {
	b := &data.Batch{}
	batch := func() error {
		for _, p := range t.plans {
			if _, _, err := t.feed(ctx, t.sessions[p.Evaluate[sizeOf(b)]], b, 0, nil); err != nil {
				return err
			}
		}
		return nil
	}
	l, err := r.evalLoader()
	if err != nil {
		return err
	}
	defer func() { l.Close() }()
	for begin, first := time.Now(), true; len(out.Evals) < fewest || time.Since(begin) < most; {
		err := l.Next(b)
		if errors.Is(err, io.EOF) && first {
			return nil
		}
		if errors.Is(err, io.EOF) { // from the beginning again
			var again Loader
			if again, err = r.evalLoader(); err == nil {
				l.Close()
				l = again
				err = l.Next(b)
			}
		}
		if err != nil {
			return err
		}
		if b.Trained == 0 {
			continue
		}
		hear("evaluation", len(out.Evals))
		if first {
			first = false
			if err := batch(); err != nil {
				return err
			}
		}
		from := time.Now()
		if err := batch(); err != nil {
			return err
		}
		out.Evals = append(out.Evals, time.Since(from).Seconds())
	}
	return nil
}
