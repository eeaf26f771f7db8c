package gauge

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
)

// Limits of measuring.
const (
	enough      = 0.98 // part of the time that need be measured
	repetitions = 5    // of a call that is measured alone, where there is time
	maxRuns     = 12   // of a whole plan
	fastest     = 20   // times as fast as nominal, no plan is quicker
)

// run measures one plan.
type run struct {
	*gauge
	s      *session.Session
	plan   *plan.Plan
	until  time.Time
	keys   []key
	writer []map[int]int // by step: which step wrote each input, -1 if none did
}

func newRun(g *gauge, s *session.Session, until time.Time) *run {
	r := &run{gauge: g, s: s, plan: s.Plan(), until: until}
	last := map[int64]int{} // writer by offset in the arena
	for i, st := range r.plan.Steps {
		r.keys = append(r.keys, keyOf(r.plan, st))
		from := map[int]int{}
		for k, at := range st.In {
			if at.State == plan.Work {
				from[k] = -1
				if w, ok := last[at.Offset]; ok {
					from[k] = w
				}
			}
		}
		r.writer = append(r.writer, from)
		for _, at := range st.Out {
			if at.State == plan.Work {
				last[at.Offset] = i
			}
		}
	}
	return r
}

// left is the time that there is, seconds.
func (r *run) left() float64 { return r.until.Sub(r.opt.Now()).Seconds() }

// sample measures one call of each kind, those that matter most first, until
// time is up or what is left does not matter.
func (r *run) sample(ctx context.Context) error {
	tried := map[key]bool{}
	for {
		chosen := r.choose(tried)
		if len(chosen) == 0 {
			return nil
		}
		if err := r.pass(ctx, chosen); err != nil {
			return err
		}
	}
}

// choose picks calls that are to be measured next, one of each kind: those
// with the largest part in the whole, as many as there is time for.
func (r *run) choose(tried map[key]bool) map[int]bool {
	type kind struct {
		key   key
		first int
		share float64
	}
	kinds := map[key]*kind{}
	var total, unknown float64
	for i, st := range r.plan.Steps {
		x, known := r.seconds(st, r.keys[i])
		total += x
		if known || tried[r.keys[i]] {
			continue
		}
		unknown += x
		if kinds[r.keys[i]] == nil {
			kinds[r.keys[i]] = &kind{key: r.keys[i], first: i}
		}
		kinds[r.keys[i]].share += x
	}
	left := r.left()
	if unknown <= (1-enough)*total {
		return nil
	}
	var list []*kind
	for _, k := range kinds {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *kind) int { return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(a.first, b.first)) })
	chosen := map[int]bool{}
	for _, k := range list {
		if x, _ := r.seconds(r.plan.Steps[k.first], k.key); x <= left {
			chosen[k.first], tried[k.key] = true, true
			left -= x
		}
	}
	return chosen
}

// pass goes through the plan once, and runs and measures only the chosen
// steps. Steps that give numbers by which others index are run too.
func (r *run) pass(ctx context.Context, chosen map[int]bool) error {
	if err := r.opt.Feed(r.s); err != nil {
		return err
	}
	ran := map[int]bool{}
	for i, st := range r.plan.Steps {
		index := slices.ContainsFunc(st.Out, func(at plan.Place) bool { return indexes(at.Type.DType) })
		if !chosen[i] && !index {
			continue
		}
		if x, _ := r.seconds(st, r.keys[i]); !index && x > r.left() {
			continue // slower than it seemed
		}
		if err := r.ready(i, ran); err != nil {
			return err
		}
		x, err := r.call(ctx, i)
		if err != nil {
			return err
		}
		ran[i] = true
		if chosen[i] {
			r.learn(st, r.keys[i], x)
		}
	}
	return nil
}

// ready fills what a step reads and was not computed, and touches the memory
// that it writes, so that its pages are there.
func (r *run) ready(i int, ran map[int]bool) error {
	st := r.plan.Steps[i]
	if err := r.states(st); err != nil {
		return err
	}
	for k, at := range st.In {
		if at.State == plan.Work && r.writer[i][k] >= 0 && !ran[r.writer[i][k]] && !indexes(at.Type.DType) {
			if err := fill(r.arena, at.Offset, at.Type.Bytes(), pattern(at.Type.DType, false)); err != nil {
				return err
			}
		}
	}
	for _, at := range append([]plan.Place{st.Scratch}, st.Out...) {
		if at.State == plan.Work && !slices.ContainsFunc(st.In, func(in plan.Place) bool { return in.State == plan.Work && in.Offset == at.Offset }) {
			if err := fill(r.arena, at.Offset, at.Type.Bytes(), make([]byte, 1<<16)); err != nil {
				return err
			}
		}
	}
	return nil
}

// call measures one step: the quickest of several calls, where it changes none
// of what it reads and there is time. The first call may wait for threads that
// went to sleep.
func (r *run) call(ctx context.Context, i int) (float64, error) {
	st := r.plan.Steps[i]
	inPlace := slices.ContainsFunc(st.Out, func(out plan.Place) bool {
		return slices.ContainsFunc(st.In, func(in plan.Place) bool { return in.State == out.State && in.Offset == out.Offset })
	})
	least := math.Inf(1)
	for range repetitions {
		from := r.opt.Now()
		if err := r.s.RunStep(ctx, i); err != nil {
			return 0, err
		}
		x := r.opt.Now().Sub(from).Seconds()
		if least = min(least, x); inPlace || x > r.left()/16 {
			break
		}
	}
	return least, nil
}

// whole runs the whole plan as often as there is time, and reports whether
// there was time for it at all.
func (r *run) whole(ctx context.Context) (bool, error) {
	var quickest float64
	for _, st := range r.plan.Steps {
		quickest += nominal(st) / fastest
	}
	if quickest > r.left()/2 {
		return false, nil
	}
	if done, err := r.first(ctx, r.opt.Now().Add(r.until.Sub(r.opt.Now())/2)); err != nil || !done {
		return false, err
	}
	sums := make([]float64, len(r.plan.Steps))
	var totals []float64
	for n := range maxRuns {
		if n > 0 && totals[n-1] > r.left() {
			break
		}
		if err := r.opt.Feed(r.s); err != nil {
			return false, err
		}
		begin := r.opt.Now()
		from := begin
		for i := range r.plan.Steps {
			if err := r.s.RunStep(ctx, i); err != nil {
				return false, err
			}
			now := r.opt.Now()
			sums[i] += now.Sub(from).Seconds()
			from = now
		}
		totals = append(totals, from.Sub(begin).Seconds())
	}
	r.replace(sums, totals)
	return true, nil
}

// first runs the plan once, so that memory is filled and touched, and reports
// whether it came to the end in time. If not, the calls that it made are known.
func (r *run) first(ctx context.Context, until time.Time) (bool, error) {
	if err := r.opt.Feed(r.s); err != nil {
		return false, err
	}
	ran := map[int]bool{}
	least := map[key]float64{}
	for i := range r.plan.Steps {
		if err := r.ready(i, ran); err != nil {
			return false, err
		}
		from := r.opt.Now()
		if from.After(until) {
			for i := range len(ran) {
				if _, known := r.known[r.keys[i]]; !known {
					r.learn(r.plan.Steps[i], r.keys[i], least[r.keys[i]])
				}
			}
			return false, nil
		}
		if err := r.s.RunStep(ctx, i); err != nil {
			return false, err
		}
		x, seen := least[r.keys[i]]
		if took := r.opt.Now().Sub(from).Seconds(); !seen || took < x {
			least[r.keys[i]] = took
		}
		ran[i] = true
	}
	return true, nil
}

// states fills the states that a step reads.
func (r *run) states(st plan.Step) error {
	for _, at := range st.In {
		if at.State >= 0 {
			if err := r.fillState(r.plan.States[at.State]); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace notes what calls take in whole runs: their parts in all runs, of the
// run in the middle.
func (r *run) replace(sums, totals []float64) {
	if len(totals) == 0 {
		return
	}
	var all float64
	for _, x := range sums {
		all += x
	}
	slices.Sort(totals)
	if all == 0 {
		return
	}
	scale := totals[len(totals)/2] / all
	mean := map[key]float64{}
	calls := map[key]int{}
	for i, k := range r.keys {
		mean[k] += sums[i] * scale
		calls[k]++
	}
	for i, k := range r.keys {
		if calls[k] > 0 {
			r.learn(r.plan.Steps[i], k, mean[k]/float64(calls[k]))
			calls[k] = 0
		}
	}
}
