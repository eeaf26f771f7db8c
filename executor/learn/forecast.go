package learn

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
	"pipe.dev/executor/gauge"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// Forecast is how long a run will take, without what saving takes.
type Forecast struct {
	Step        float64 // seconds of one step of the optimizer
	Speed       float64 // trained tokens a second, or examples
	Unit        string  // what Speed counts: "tokens" or "examples"
	Evaluation  float64 // seconds of one evaluation
	Evaluations int
	Total       float64    // seconds of all steps and evaluations
	Measured    float64    // the part of Step that was measured, 0 to 1; the rest was concluded from it
	Ops         []gauge.Op // of a step, what takes longest first
}

// lookAhead is how many batches are read to know what lengths rows have.
const lookAhead = 256

// batches are what a run reads: one batch of each size, and how many there are
// of each.
type batches struct {
	one     map[int]*data.Batch // by size, as plans are
	count   map[int]int
	trained int64
	all     int
}

func (b *batches) add(x *data.Batch) {
	if b.one[sizeOf(x)] == nil {
		b.one[sizeOf(x)] = x
	}
	b.count[sizeOf(x)]++
	b.trained += int64(x.Trained)
	b.all++
}

// holdsOut reports whether there are data to evaluate on.
func (r *Run) holdsOut() bool { return r.eval != nil || r.evalExamples != nil }

// look reads batches from a loader, at most n of them, and closes it.
func look(l Loader, n int) (*batches, error) {
	defer l.Close()
	b := &batches{one: map[int]*data.Batch{}, count: map[int]int{}}
	x := &data.Batch{}
	for range n {
		if err := l.Next(x); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if x.Trained == 0 {
			continue
		}
		b.add(x)
		if b.one[sizeOf(x)] == x {
			x = &data.Batch{}
		}
	}
	return b, nil
}

// Forecast predicts how long the run takes, by measuring for about budget.
func (r *Run) Forecast(ctx context.Context, budget time.Duration) (*Forecast, error) {
	trainLoader, evalLoader, err := r.blankLoaders()
	if err != nil {
		return nil, err
	}
	train, err := look(trainLoader, lookAhead)
	if err != nil {
		return nil, err
	}
	eval := &batches{}
	if evalLoader != nil {
		most := r.Recipe.Evaluate.Batches
		if most == 0 {
			most = int(^uint(0) >> 1)
		}
		if eval, err = look(evalLoader, most); err != nil {
			return nil, err
		}
	}
	found, err := r.gauge(ctx, budget, train, eval)
	if err != nil {
		return nil, err
	}
	crossing, err := r.crossingSeconds()
	if err != nil {
		return nil, err
	}
	return r.forecast(found, crossing, train, eval), nil
}

// gauge measures the plans for which there are batches.
func (r *Run) gauge(ctx context.Context, budget time.Duration, train, eval *batches) (map[*plan.Plan]gauge.Estimate, error) {
	from := map[*plan.Plan]*data.Batch{}
	var plans []*plan.Plan
	want := func(m map[int]*plan.Plan, b *batches) {
		for _, n := range slices.Sorted(maps.Keys(m)) {
			if b.one[n] != nil {
				plans, from[m[n]] = append(plans, m[n]), b.one[n]
			}
		}
	}
	for _, p := range r.plans {
		want(p.Step, train)
		want(p.Accumulate, train)
		for _, alone := range []*plan.Plan{p.Begin, p.Update} {
			if alone != nil {
				plans = append(plans, alone)
			}
		}
	}
	for _, p := range r.plans {
		want(p.Evaluate, eval)
	}
	t := &Trainer{}
	feed := func(s *session.Session) error {
		for _, in := range s.Plan().Inputs {
			var err error
			switch in.Name {
			case "lr":
				err = t.floats(s, in.Name, []float32{1e-4})
			case "step":
				err = t.floats(s, in.Name, []float32{1})
			default:
				err = t.input(s, s.Plan(), in, from[s.Plan()])
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	found := map[*plan.Plan]gauge.Estimate{}
	for _, at := range []struct {
		backend kernels.Backend
		host    bool
	}{{r.opt.Backend, false}, {r.opt.Host, true}} {
		own := slices.DeleteFunc(slices.Clone(plans), func(p *plan.Plan) bool { return r.plans.onHost(p) != at.host })
		if len(own) == 0 {
			continue
		}
		share := budget * time.Duration(len(own)) / time.Duration(len(plans))
		list, err := gauge.Measure(ctx, at.backend, own, gauge.Options{Budget: share, Feed: feed})
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			found[e.Plan] = e
		}
	}
	return found, nil
}

// forecast adds up what was found for each plan, and for what crosses in a step.
func (r *Run) forecast(found map[*plan.Plan]gauge.Estimate, crossing float64, train, eval *batches) *Forecast {
	f := &Forecast{Unit: "tokens", Step: crossing}
	if r.examples != nil {
		f.Unit = "examples"
	}
	ops := map[string]gauge.Op{}
	measured := crossing
	add := func(p *plan.Plan, times float64) {
		e := found[p]
		f.Step += times * e.Seconds
		measured += times * e.Seconds * e.Measured
		for _, o := range e.Ops {
			sum := ops[o.Name]
			ops[o.Name] = gauge.Op{Name: o.Name, Calls: sum.Calls + int(times*float64(o.Calls)+0.5), Seconds: sum.Seconds + times*o.Seconds}
		}
	}
	parts := float64(r.Recipe.Steps.Accumulate)
	for i, p := range r.plans {
		steps := r.Recipe.Steps.Steps
		turns := float64(r.turns()[i].count(steps)) / float64(steps)
		for n, count := range train.count {
			share := turns * float64(count) / float64(train.all)
			if p.Step != nil {
				add(p.Step[n], share)
			} else {
				add(p.Accumulate[n], share*parts)
			}
		}
		for _, alone := range []*plan.Plan{p.Begin, p.Update} {
			if alone != nil {
				add(alone, turns)
			}
		}
		for n, count := range eval.count {
			f.Evaluation += float64(count) * found[p.Evaluate[n]].Seconds
		}
	}
	if r.holdsOut() {
		f.Evaluations = 1
		if every := r.Recipe.Evaluate.Every; every > 0 {
			f.Evaluations = (r.Recipe.Steps.Steps + every - 1) / every
		}
	}
	f.Total = float64(r.Recipe.Steps.Steps)*f.Step + float64(f.Evaluations)*f.Evaluation
	if f.Step > 0 {
		f.Measured = measured / f.Step
		f.Speed = parts * float64(train.trained) / float64(max(1, train.all)) / f.Step
	}
	if crossing > 0 {
		const name = "copies between host and device"
		ops[name] = gauge.Op{Name: name, Calls: 1, Seconds: crossing}
	}
	f.Ops = gauge.Sorted(slices.Collect(maps.Values(ops)))
	return f
}
