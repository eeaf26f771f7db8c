package learn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
)

// one makes one step: every part whose turn it is, on the same batches.
func (t *Trainer) one(ctx context.Context) (Event, error) {
	if err := t.draw(); err != nil {
		return Event{}, err
	}
	e := Event{Step: t.step + 1, More: map[string]float64{}, Norms: map[string]float64{}}
	first := true
	for i, turn := range t.cfg.Parts {
		n, due := turn.number(t.step)
		if !due {
			continue
		}
		r, err := t.turn(ctx, i, turn, n)
		if err != nil {
			return Event{}, err
		}
		if first {
			e.Loss, e.GradNorm, e.Rate, first = r.loss, r.norm, r.rate, false
		}
		r.note(turn.Name, &e)
	}
	t.step++
	e.Tokens, e.Unit, e.Skipped = t.tokens, "tokens", t.skipped
	if t.batch[0].Values != nil {
		e.Unit = "examples"
	}
	return e, t.weightDistributions(t.step)
}

// EndedError says that the data ended before the last step.
type EndedError struct {
	File        string
	Step, Steps int
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("%s: the training data end after %d of %d steps", e.File, e.Step, e.Steps)
}

// result is what a turn of a part gave.
type result struct {
	loss, norm, rate float64
	terms            map[string]float64 // means of several losses
	measures         map[string]float64 // besides them
	squares          map[string]float64 // by layer, of the gradient, if the step is logged
	scale            float64            // of the loss, in the next turn; 0 if it has none
	skipped          int                // turns that changed nothing
}

// note writes what several parts, and several losses, gave, and the norms.
func (r *result) note(part string, e *Event) {
	in := ""
	if part != "" {
		in = "/" + part
		e.More["loss"+in], e.More["grad_norm"+in], e.More["lr"+in] = r.loss, r.norm, r.rate
	}
	if r.scale > 0 {
		e.More["loss_scale"+in], e.More["skipped_steps"+in] = r.scale, float64(r.skipped)
	}
	for name, x := range r.terms {
		e.More["loss"+in+"/"+name] = x
	}
	for name, x := range r.measures {
		e.More["train"+in+"/"+name] = x
	}
	for layer, x := range r.squares {
		e.Norms[strings.TrimPrefix(part+"/"+layer, "/")] = float64(float32(math.Sqrt(x)))
	}
}

// turn lets one part learn from the batches of the step.
func (t *Trainer) turn(ctx context.Context, part int, turn Turn, n int) (r result, err error) {
	p := t.plans[part]
	r = result{rate: turn.Rate(n), terms: map[string]float64{}, measures: map[string]float64{}}
	var sum, count float64
	var last *session.Session
	if err := t.begin(ctx, p); err != nil {
		return r, err
	}
	full := slices.DeleteFunc(slices.Clone(t.batch), func(b data.Batch) bool { return b.Trained == 0 })
	for i := range full {
		b := &full[i]
		if p.Update == nil {
			last = t.sessions[p.Step[sizeOf(b)]]
			err = t.scalars(last, r.rate, n)
		} else {
			last = t.sessions[p.Accumulate[sizeOf(b)]]
		}
		if err != nil {
			return r, err
		}
		t.counter = int32(t.step*len(t.batch) + i)
		s, c, err := t.feed(ctx, last, b, int64(t.counter), t.beside(part, full, i))
		if err == nil && !p.scales() {
			err = t.finite(ctx, last, s)
		}
		if err != nil {
			return r, err
		}
		sum, count = sum+s, count+c
		share := 1 / float64(len(full))
		if err := errors.Join(t.means(last, "mean/", share, r.terms), t.means(last, "measure/", share, r.measures)); err != nil {
			return r, err
		}
	}
	step := last
	if p.Update != nil {
		if err := t.toHost(p.Update); err != nil {
			return r, err
		}
		if err := t.gradientDistributions(t.step+1, p.Update, turn.Name, count); err != nil {
			return r, err
		}
		last = t.sessions[p.Update]
		if err := t.scalars(last, r.rate, n); err != nil {
			return r, err
		}
		if err := t.update(ctx, p); err != nil {
			return r, err
		}
	}
	if r.norm, err = t.scalar(last, "grad_norm"); err != nil {
		return r, err
	}
	if p.scales() {
		if err := t.scale(ctx, last, step, &t.skips[part], &r); err != nil {
			return r, err
		}
	} else if !finite(r.norm) {
		return r, &session.NaNError{Pos: ir.Pos{Path: strings.TrimPrefix(turn.Name+".grad_norm", ".")}, Op: "training"}
	}
	if t.logs(t.step + 1) {
		if err := t.squares(last, &r); err != nil {
			return r, err
		}
	}
	r.loss = sum / count
	return r, nil
}

// means adds the outputs of a plan whose names begin with kind, times factor, to
// what is in to: under their names, and those of an axis under NAME/0, NAME/1, ...
func (t *Trainer) means(s *session.Session, kind string, factor float64, to map[string]float64) error {
	for _, out := range s.Plan().Outputs {
		name, ok := strings.CutPrefix(out.Name, kind)
		if !ok {
			continue
		}
		list, err := t.values(s, out.Name, out.Place.Type)
		if err != nil {
			return err
		}
		for i, x := range list {
			at := name
			if out.Place.Type.Rank() > 0 {
				at = fmt.Sprintf("%s/%d", name, i)
			}
			to[at] += factor * x
		}
	}
	return nil
}
