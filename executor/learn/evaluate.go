package learn

import (
	"context"
	"errors"
	"io"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Evaluate returns the mean loss of each part on the evaluation data, as "", and
// the means of its losses and measures by name.
func (t *Trainer) Evaluate(ctx context.Context) ([]map[string]float64, error) {
	l, err := t.eval()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	sums, counts := make([]map[string]float64, len(t.plans)), make([]float64, len(t.plans))
	for i := range sums {
		sums[i] = map[string]float64{}
	}
	b := &t.batch[0]
	for n := 0; t.cfg.EvalParts == 0 || n < t.cfg.EvalParts; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := l.Next(b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if b.Trained == 0 {
			continue
		}
		for i, p := range t.plans {
			run := t.sessions[p.Evaluate[sizeOf(b)]]
			s, c, err := t.feed(ctx, run, b)
			if err == nil {
				err = t.finite(ctx, run, s)
			}
			if err == nil {
				err = errors.Join(t.means(run, "mean/", c, sums[i]), t.means(run, "measure/", c, sums[i]))
			}
			if err != nil {
				return nil, err
			}
			sums[i][""] += s
			counts[i] += c
		}
	}
	for i := range sums {
		if counts[i] == 0 {
			return nil, &checkpoint.Error{File: t.cfg.EvalData, Msg: "the data for evaluation have no token that counts"}
		}
		for name := range sums[i] {
			sums[i][name] /= counts[i]
		}
	}
	return sums, nil
}

// evaluate notes the losses on the evaluation data, and what is measured.
func (t *Trainer) evaluate(ctx context.Context, e *Event) error {
	means, err := t.Evaluate(ctx)
	if err != nil {
		return err
	}
	loss := means[0][""]
	e.Eval = &loss
	for i, turn := range t.cfg.Parts {
		for name, x := range means[i] {
			switch {
			case name != "":
				e.More["eval/"+strings.TrimPrefix(turn.Name+"/"+name, "/")] = x
			case turn.Name != "":
				e.More["eval_loss/"+turn.Name] = x
			}
		}
	}
	return nil
}
