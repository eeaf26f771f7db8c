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
	Token  float64    // seconds for a token after these; 0 if the model makes no text
	Prompt float64    // tokens a second of a long prompt
	Part   int        // tokens of a prompt that are computed at once
	Call   float64    // seconds of a call over whole sequences; 0 if there is none
	Ops    []gauge.Op // of a token, or else of a call
}

// Forecast predicts how long calls of the plans that were asked for take, by
// measuring for about budget. It reads no weights.
func (m *Model) Forecast(ctx context.Context, budget time.Duration) (*Forecast, error) {
	if len(m.plans) == 0 {
		return nil, nil
	}
	f := &Forecast{Past: min(forecastPast, m.context/2)}
	plans := m.plans
	if len(m.text) > 1 { // the shortest and the longest
		plans = []*plan.Plan{m.text[0], m.text[len(m.text)-1]}
		for _, p := range m.plans {
			if p.Name != m.text[0].Name {
				plans = append(plans, p)
			}
		}
	}
	list, err := gauge.Measure(ctx, m.opt.Backend, plans, gauge.Options{Budget: budget, Feed: func(s *session.Session) error { return m.feed(s, f.Past) }})
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		switch n := e.Plan.Sizes["seq"]; {
		case len(m.text) == 0 || e.Plan.Name != m.text[0].Name:
			if f.Call += e.Seconds; f.Ops == nil {
				f.Ops = e.Ops
			}
		case n == 1:
			f.Token, f.Ops = e.Seconds, e.Ops
			if f.Part == 0 {
				f.Part, f.Prompt = 1, 1/e.Seconds
			}
		default:
			f.Part, f.Prompt = n, float64(n)/e.Seconds
		}
	}
	return f, nil
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
