// Package gauge predicts how long plans take on a device, before a run, by
// measuring for a few seconds: kernels of a plan one of each kind, and, where
// that is quick, the whole plan.
//
// It has no model of a device: what could not be measured is taken to be as
// fast, by its FLOPs and bytes, as what was measured of the same op. It holds
// no more memory than a run would, and reads no weights: they are filled as
// those of a new model are, so that no number is one that a processor is slow
// with.
package gauge

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// Options say how to measure.
type Options struct {
	// Budget is about how long to measure, for all plans together.
	Budget time.Duration
	// Feed writes the inputs of a plan, as a run would.
	Feed func(s *session.Session) error
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Estimate is how long one run of a plan takes.
type Estimate struct {
	Plan     *plan.Plan
	Seconds  float64
	Measured float64 // the part of Seconds that was measured, 0 to 1; the rest was concluded from it
	Ops      []Op    // what takes longest first
}

// Op is what all steps of one op take.
type Op struct {
	Name    string
	Calls   int
	Seconds float64
}

// Measure estimates plans of one model, which share states and a work arena.
// Plans that are run most should come first.
func Measure(ctx context.Context, b kernels.Backend, plans []*plan.Plan, o Options) (list []Estimate, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &gauge{opt: o, store: session.NewStore(b), filled: map[string]bool{}, known: map[key]float64{}, rates: map[string]*rate{}}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.store.Room(session.Largest(plans)); err != nil {
		return nil, err
	}
	if err := g.store.Vacant(session.Largest(plans)); err != nil {
		return nil, err
	}
	if g.arena, err = b.Alloc(session.WorkBytes(plans)); err != nil {
		return nil, err
	}
	end := o.Now().Add(o.Budget)
	for i, p := range plans {
		now := o.Now()
		share := end.Sub(now) / time.Duration(len(plans)-i)
		s, err := session.Bind(b, p, g.store, g.arena)
		if err != nil {
			return nil, err
		}
		e, err := g.estimate(ctx, s, now.Add(share))
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// Sum is the estimate of a plan that consists of parts.
func Sum(p *plan.Plan, parts []Estimate) Estimate {
	out := Estimate{Plan: p}
	ops := map[string]Op{}
	for _, e := range parts {
		out.Seconds += e.Seconds
		out.Measured += e.Measured * e.Seconds
		for _, o := range e.Ops {
			sum := ops[o.Name]
			ops[o.Name] = Op{Name: o.Name, Calls: sum.Calls + o.Calls, Seconds: sum.Seconds + o.Seconds}
		}
	}
	out.Measured /= max(out.Seconds, 1e-12)
	out.Ops = Sorted(slices.Collect(maps.Values(ops)))
	return out
}

// gauge holds what a model needs while it is measured, and what was found.
type gauge struct {
	opt    Options
	store  *session.Store
	arena  kernels.Buffer
	filled map[string]bool // states by path
	known  map[key]float64 // seconds of one call
	rates  map[string]*rate
	all    rate
}

func (g *gauge) close() error {
	err := g.store.Free()
	if g.arena != nil {
		err = errors.Join(err, g.arena.Free())
	}
	return err
}

// estimate measures one plan until about a moment.
func (g *gauge) estimate(ctx context.Context, s *session.Session, until time.Time) (Estimate, error) {
	r := newRun(g, s, until)
	done, err := r.whole(ctx)
	if err == nil && !done {
		err = r.sample(ctx)
	}
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Plan: s.Plan()}
	ops := map[string]*Op{}
	var measured float64
	for i, st := range s.Plan().Steps {
		x, known := g.seconds(st, r.keys[i])
		if ops[st.Op] == nil {
			ops[st.Op] = &Op{Name: st.Op}
		}
		ops[st.Op].Calls++
		ops[st.Op].Seconds += x
		e.Seconds += x
		if known {
			measured += x
		}
	}
	if e.Seconds > 0 {
		e.Measured = measured / e.Seconds
	}
	for _, o := range ops {
		e.Ops = append(e.Ops, *o)
	}
	e.Ops = Sorted(e.Ops)
	return e, nil
}

// Sorted puts what takes longest first.
func Sorted(ops []Op) []Op {
	slices.SortFunc(ops, func(a, b Op) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Name, b.Name))
	})
	return ops
}
