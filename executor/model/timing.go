package model

import (
	"context"
	"fmt"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/gauge"
)

// Timing is how long calls of a plan took, with the weights of the model and
// made-up inputs.
type Timing struct {
	Plan  *plan.Plan
	Calls []float64   // seconds of each
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
		if run >= 0 {
			t.Calls = append(t.Calls, before.Sub(begin).Seconds())
		}
		if see != nil {
			see(run + 1)
		}
	}
	return t, nil
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
