package learn

import (
	"context"
	"errors"
	"io"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
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
	if err := t.evaluateAll(ctx, l, sums, counts); err != nil {
		return nil, err
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

// evaluateAll adds up what all batches give, by part. The next batch is read and copied while
// the device is at one.
func (t *Trainer) evaluateAll(ctx context.Context, l Loader, sums []map[string]float64, counts []float64) error {
	e := &evalBatches{l: l, most: t.cfg.EvalParts}
	b, err := e.next()
	for b != nil && err == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		number := e.number()
		var next *data.Batch
		var failed error
		for i, p := range t.plans {
			var beside func() error
			if i == len(t.plans)-1 && t.ahead != nil {
				beside = func() error {
					if next, failed = e.next(); next == nil || failed != nil {
						return nil // it is told after this one
					}
					return t.fill(t.sessions[t.plans[0].Evaluate[sizeOf(next)]], next, e.number())
				}
			}
			run := t.sessions[p.Evaluate[sizeOf(b)]]
			s, c, err := t.feed(ctx, run, b, number, beside)
			if err == nil {
				err = t.finite(ctx, run, s)
			}
			if err == nil {
				err = errors.Join(t.means(run, "mean/", c, sums[i]), t.means(run, "measure/", c, sums[i]))
			}
			if err != nil {
				return err
			}
			sums[i][""] += s
			counts[i] += c
		}
		if t.ahead == nil {
			next, failed = e.next()
		}
		b, err = next, failed
	}
	return err
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

// evalBatches gives the batches of an evaluation that have something to count; two are
// kept, so that one is read while the other is in use.
type evalBatches struct {
	l     Loader
	most  int // batches; 0 is all
	read  int
	given int64
	two   [2]data.Batch
}

// next is the next batch; nil after the last.
func (e *evalBatches) next() (*data.Batch, error) {
	for ; e.most == 0 || e.read < e.most; e.read++ {
		b := &e.two[e.given%2]
		if err := e.l.Next(b); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if b.Trained > 0 {
			e.read++
			e.given++
			return b, nil
		}
	}
	return nil, nil
}

// number is that of the batch given last, of no batch that is trained.
func (e *evalBatches) number() int64 { return -e.given }
