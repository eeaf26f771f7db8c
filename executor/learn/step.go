package learn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
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
		if t.step%turn.Every != 0 {
			continue
		}
		r, err := t.turn(ctx, i, turn, t.step/turn.Every+1)
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

// draw takes the batches of a step. Those that have nothing to train count
// nothing in it; where none has anything, others are taken.
func (t *Trainer) draw() error {
	for empty := int64(0); ; {
		trained := 0
		for i := range t.batch {
			err := t.train.Next(&t.batch[i])
			if errors.Is(err, io.EOF) {
				return &EndedError{File: t.cfg.Data, Step: t.step, Steps: t.cfg.Steps}
			}
			if err != nil {
				return err
			}
			if trained += t.batch[i].Trained; t.batch[i].Trained == 0 {
				t.skipped++
				empty++
			}
		}
		if trained > 0 {
			t.tokens += int64(trained)
			return nil
		}
		all, err := t.cfg.Epoch()
		if err != nil {
			return err
		}
		if empty > all {
			return &checkpoint.Error{File: t.cfg.Data, Msg: fmt.Sprintf("none of the %d batches of an epoch has a token that is trained", all)}
		}
	}
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
	for layer, x := range r.squares {
		e.Norms[strings.TrimPrefix(part+"/"+layer, "/")] = float64(float32(math.Sqrt(x)))
	}
}

// turn lets one part learn from the batches of the step.
func (t *Trainer) turn(ctx context.Context, part int, turn Turn, n int) (r result, err error) {
	p := t.plans[part]
	r = result{rate: turn.Rate(n), terms: map[string]float64{}}
	var sum, count float64
	var last *session.Session
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
		s, c, err := t.feed(ctx, last, b)
		if err == nil && !p.scales() {
			err = t.finite(ctx, last, s)
		}
		if err != nil {
			return r, err
		}
		sum, count = sum+s, count+c
		if err := t.means(last, 1/float64(len(full)), r.terms); err != nil {
			return r, err
		}
	}
	step := last
	if p.Update != nil {
		if err := t.gradientDistributions(t.step+1, p.Update, turn.Name, count); err != nil {
			return r, err
		}
		last = t.sessions[p.Update]
		if err := t.scalars(last, r.rate, n); err != nil {
			return r, err
		}
		if err := last.Run(ctx); err != nil {
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

// means adds the outputs "mean/NAME" of a plan, times factor, to what is in to.
func (t *Trainer) means(s *session.Session, factor float64, to map[string]float64) error {
	for _, out := range s.Plan().Outputs {
		name, ok := strings.CutPrefix(out.Name, "mean/")
		if !ok {
			continue
		}
		x, err := t.scalar(s, out.Name)
		if err != nil {
			return err
		}
		to[name] += factor * x
	}
	return nil
}

// feed runs one batch, and returns the sum of its losses and their count.
func (t *Trainer) feed(ctx context.Context, s *session.Session, b *data.Batch) (sum, count float64, err error) {
	for _, in := range s.Plan().Inputs {
		if err := t.input(s, in, b); err != nil {
			return 0, 0, err
		}
	}
	if err := s.Run(ctx); err != nil {
		return 0, 0, err
	}
	if sum, err = t.scalar(s, "loss"); err != nil {
		return 0, 0, err
	}
	if count, err = t.scalar(s, "count"); err != nil {
		return 0, 0, err
	}
	return sum, count, nil
}

// sizeOf is what the plans of batches are found by: the length of rows, or the
// number of examples.
func sizeOf(b *data.Batch) int {
	if b.Values != nil {
		return b.Rows
	}
	return b.Seq
}

// input writes what a batch has for an input of a plan.
func (t *Trainer) input(s *session.Session, in plan.Port, b *data.Batch) error {
	switch in.Name {
	case "lr", "step": // see scalars
		return nil
	case "counter":
		return t.ints(s, in.Name, []int32{t.counter})
	}
	if b.Values != nil {
		if data, ok := b.Values[in.Name]; ok {
			return s.Write(in.Name, data)
		}
		return fmt.Errorf("examples have nothing for the input %s of %s", in.Name, s.Plan().Name)
	}
	switch in.Name {
	case "ids":
		return t.ints(s, in.Name, b.IDs)
	case "targets":
		return t.ints(s, in.Name, b.Targets)
	case "weights":
		return t.floats(s, in.Name, b.Weights)
	case "segments":
		return t.ints(s, in.Name, b.Segments)
	}
	return fmt.Errorf("batches have nothing for the input %s of %s", in.Name, s.Plan().Name)
}

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
				err = t.means(run, c, sums[i])
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

func (t *Trainer) scalars(s *session.Session, rate float64, turn int) error {
	return errors.Join(t.floats(s, "lr", []float32{float32(rate)}), t.floats(s, "step", []float32{float32(turn)}))
}

func (t *Trainer) ints(s *session.Session, name string, x []int32) error {
	t.raw = t.raw[:0]
	for _, v := range x {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, uint32(v))
	}
	return s.Write(name, t.raw)
}

func (t *Trainer) floats(s *session.Session, name string, x []float32) error {
	t.raw = t.raw[:0]
	for _, v := range x {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, math.Float32bits(v))
	}
	return s.Write(name, t.raw)
}

func (t *Trainer) scalar(s *session.Session, name string) (float64, error) {
	var b [4]byte
	err := s.Read(name, b[:])
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[:]))), err
}
