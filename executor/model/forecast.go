package model

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/gauge"
	"pipe.dev/executor/session"
)

// forecastPast is how many positions are assumed to come before a token, if
// the context has them.
const forecastPast = 256

// Forecast is how long the calls of a model will take.
type Forecast struct {
	Past   int        // positions before a token
	Texts  int        // that are continued at once
	Token  float64    // seconds for a token of each of these, after Past positions; 0 if the model makes no text
	Prompt float64    // tokens a second of a long prompt
	Part   int        // tokens of prompts that are computed at once
	Call   float64    // seconds of a call over whole sequences; 0 if there is none
	Ops    []gauge.Op // of a token, or else of a call
}

// Forecast predicts how long calls of the plans that were asked for take, by
// measuring for about budget. It reads no weights.
func (m *Model) Forecast(ctx context.Context, budget time.Duration) (*Forecast, error) {
	if len(m.plans) == 0 {
		return nil, nil
	}
	token, prompt, context := m.making()
	f := &Forecast{Past: min(forecastPast, context/2)}
	var plans []*plan.Plan
	if token != nil {
		plans = append(plans, token)
		if prompt != token {
			plans = append(plans, prompt)
		}
	}
	for _, p := range m.plans {
		if token == nil || p.Name != token.Name {
			plans = append(plans, p)
		}
	}
	list, err := m.measure(ctx, plans, f.Past, budget)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Plan == token {
			f.Texts, f.Token, f.Ops = token.Sizes["batch"], e.Seconds, e.Ops
		}
		if e.Plan == prompt {
			f.Part = prompt.Sizes["batch"] * prompt.Sizes["seq"]
			f.Prompt = float64(f.Part) / e.Seconds
		}
		if e.Plan != token && e.Plan != prompt {
			if f.Call += e.Seconds; f.Ops == nil {
				f.Ops = e.Ops
			}
		}
	}
	return f, nil
}

// measure measures plans, those of a model that is cut on each of its sides.
func (m *Model) measure(ctx context.Context, plans []*plan.Plan, past int, budget time.Duration) ([]gauge.Estimate, error) {
	found := map[*plan.Plan]gauge.Estimate{}
	for _, s := range m.sides() {
		o := gauge.Options{Budget: budget / time.Duration(len(m.sides())), Feed: func(s *session.Session) error { return m.feed(s, past) }}
		list, err := gauge.Measure(ctx, s.backend, m.onSide(plans, s), o)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			found[e.Plan] = e
		}
	}
	var out []gauge.Estimate
	for _, p := range plans {
		var parts []gauge.Estimate
		for _, part := range p.Each() {
			parts = append(parts, found[part])
		}
		out = append(out, gauge.Sum(p, parts))
	}
	return out, nil
}

// making are the plans of a model that makes text for a token, of as many texts
// as are continued at once, and for the most tokens of prompts, and the positions
// that there is room for; nil for others.
func (m *Model) making() (token, prompt *plan.Plan, context int) {
	if len(m.text) > 0 {
		return m.text[0], m.text[len(m.text)-1], m.context
	}
	if m.batch == nil {
		return nil, nil, 0
	}
	most := 0
	for _, p := range m.batch.list() {
		if rows, n := p.Sizes["batch"], p.Sizes["seq"]; rows == m.batch.places && n == 1 {
			token = p
		}
		if n := p.Sizes["batch"] * p.Sizes["seq"]; n > most {
			prompt, most = p, n
		}
	}
	return token, prompt, m.batch.context
}

// feed writes inputs as a run might: a sequence that has gone on for past
// positions, of ids that all models have.
func (m *Model) feed(s *session.Session, past int) error {
	for _, in := range s.Plan().Inputs {
		t := in.Place.Type
		data := make([]byte, 0, t.Bytes())
		for i := range t.Elems() {
			x := i % 2
			switch {
			case in.Name == "past":
				x = past
			case in.Name == "last":
				x = s.Plan().Sizes["seq"] - 1
			}
			switch t.DType {
			case ir.I32:
				data = binary.LittleEndian.AppendUint32(data, uint32(x))
			case ir.F32:
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
			default:
				return fmt.Errorf("%s: input %s is %v", m.opt.Name, in.Name, t)
			}
		}
		if err := s.Write(in.Name, data); err != nil {
			return err
		}
	}
	return nil
}
