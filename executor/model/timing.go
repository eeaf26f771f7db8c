package model

import (
	"context"
	"fmt"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/gauge"
	"pipe.dev/executor/session"
)

// Timing is how long calls of a plan took, with the weights of the model and
// made-up inputs.
type Timing struct {
	Plan  *plan.Plan
	Calls []float64   // seconds of each: all its steps one by one, or at once where the device runs them so
	Steps [][]float64 // seconds of each step of the plan, in each call
}

// Time calls a plan that was asked for, once to warm up and then runs times. The model
// must be loaded. See, if there is one, hears of every call that is done.
func (m *Model) Time(ctx context.Context, p *plan.Plan, runs int, see func(done int)) (*Timing, error) {
	s, err := m.session(p)
	if err != nil {
		return nil, err
	}
	if err := m.feed(s, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", m.opt.Name, err)
	}
	t := &Timing{Plan: p, Steps: make([][]float64, len(p.Steps))}
	for run := -1; run < runs; run++ {
		begin := time.Now()
		before := begin
		for i := range p.Steps {
			if err := s.RunStep(ctx, i); err != nil {
				return t, err
			}
			now := time.Now()
			if run >= 0 {
				t.Steps[i] = append(t.Steps[i], now.Sub(before).Seconds())
			}
			before = now
		}
		call := before.Sub(begin)
		if s.Whole() {
			if call, err = timeWhole(ctx, s); err != nil {
				return t, err
			}
		}
		if run >= 0 {
			t.Calls = append(t.Calls, call.Seconds())
		}
		if see != nil {
			see(run + 1)
		}
	}
	return t, nil
}

// timeWhole calls a plan of which a device runs all steps at once. The second such
// call may be slow, as the device learns it, so there are two before the one that
// is timed.
func timeWhole(ctx context.Context, s *session.Session) (time.Duration, error) {
	var begin time.Time
	for range 3 {
		begin = time.Now()
		if err := s.Run(ctx); err != nil {
			return 0, err
		}
		if err := s.Wait(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// Ops are the times of the steps by op, of the median of the calls of each step, what
// takes longest first.
func (t *Timing) Ops(median func([]float64) float64) []gauge.Op {
	by := map[string]*gauge.Op{}
	var list []gauge.Op
	for i, st := range t.Plan.Steps {
		if by[st.Op] == nil {
			by[st.Op] = &gauge.Op{Name: st.Op}
		}
		by[st.Op].Calls++
		by[st.Op].Seconds += median(t.Steps[i])
	}
	for _, o := range by {
		list = append(list, *o)
	}
	return gauge.Sorted(list)
}
