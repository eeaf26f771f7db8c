package learn

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/session"
)

// skips counts the steps of a part that changed nothing, their gradients being
// not finite.
type skips struct {
	All  int `json:"all"`  // since the run began
	Lost int `json:"lost"` // of these, the last ones in a row with the least loss scale
}

// scales reports whether the loss of a part is scaled, so that gradients that
// are not finite are no error.
func (p PartPlans) scales() bool {
	has := func(p *plan.Plan) bool {
		return slices.ContainsFunc(p.Outputs, func(o plan.Port) bool { return o.Name == "loss_scale" })
	}
	if p.Update != nil {
		return has(p.Update)
	}
	for _, step := range p.Step {
		return has(step)
	}
	return false
}

// scale notes what a turn has done to the loss scale. When it changes nothing
// although the scale can fall no more, the model is broken: the error says where
// numbers stopped being finite.
func (t *Trainer) scale(ctx context.Context, update, step *session.Session, s *skips, r *result) error {
	scale, err := t.scalar(update, "loss_scale")
	if err != nil {
		return err
	}
	skipped, err := t.scalar(update, "skipped")
	if err != nil {
		return err
	}
	if skipped == 0 {
		s.Lost = 0
	} else {
		s.All++
	}
	r.scale, r.skipped = scale, s.All
	if skipped == 0 || scale > train.LeastLossScale {
		return nil
	}
	if s.Lost++; s.Lost < 2 { // the first has come down to it
		return nil
	}
	if where := step.Trace(ctx); where != nil {
		return where
	}
	return &session.NaNError{Pos: ir.Pos{Path: "grad_norm"}, Op: fmt.Sprintf("training with a loss scale of %v", scale)}
}

// finite returns an error that says where numbers stopped being finite, if the
// loss of a run is not.
func (t *Trainer) finite(ctx context.Context, s *session.Session, loss float64) error {
	if finite(loss) {
		return nil
	}
	if where := s.Trace(ctx); where != nil {
		return where
	}
	return &session.NaNError{Op: "loss"}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// finite is e in numbers that JSON has: what is not finite, as it may be of a
// step that was skipped, is the greatest number there is, or left out.
func (e *Event) finite() *Event {
	if e == nil {
		return nil
	}
	out := *e
	for _, x := range []*float64{&out.Loss, &out.GradNorm} {
		if !finite(*x) {
			*x = math.MaxFloat64
		}
	}
	keep := func(m map[string]float64) map[string]float64 {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(_ string, x float64) bool { return !finite(x) })
		return m
	}
	out.More, out.Norms = keep(out.More), keep(out.Norms)
	return &out
}
