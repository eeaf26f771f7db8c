// Package learn trains: it feeds batches through the plans of a training step,
// measures, evaluates and hands what happens to its caller.
//
// What is learnt, and how, is in the plans: the loop knows no loss, no
// gradient and no optimizer.
package learn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// Plans are the programs of one model. Step takes a whole batch at once;
// otherwise Accumulate takes each part and Update makes the step. Evaluate may
// be nil.
type Plans struct {
	Step, Accumulate, Update, Evaluate *plan.Plan
}

// all lists those that there are.
func (p *Plans) all() []*plan.Plan {
	var list []*plan.Plan
	for _, x := range []*plan.Plan{p.Step, p.Accumulate, p.Update, p.Evaluate} {
		if x != nil {
			list = append(list, x)
		}
	}
	return list
}

// Config says how long to train and when to look.
type Config struct {
	Steps      int                    // of the optimizer
	Accumulate int                    // batches of one step
	Rate       func(step int) float64 // learning rate of a step, from 1
	LogEvery   int                    // steps; the first and the last are logged too
	EvalEvery  int                    // steps; 0 is only at the end
	EvalParts  int                    // batches of an evaluation; 0 is all
	SaveEvery  int                    // steps; 0 is only at the end
}

// Event is what the loop reports of a step.
type Event struct {
	Step     int
	Loss     float64 // mean per trained token, nats, of the batches of this step
	GradNorm float64 // before clipping
	Rate     float64
	Tokens   int64         // trained tokens since the beginning of the run
	Speed    float64       // tokens a second, since the last event
	Elapsed  time.Duration // since this process began to train
	Eval     *float64      // mean loss of the evaluation after this step
	Log      bool          // whether this step is one to be logged
	Save     bool          // whether a checkpoint is due after this step
}

// Trainer holds a model in training.
type Trainer struct {
	cfg      Config
	plans    *Plans
	store    *session.Store
	arena    kernels.Buffer
	sessions map[*plan.Plan]*session.Session
	train    *data.Loader
	eval     func() (*data.Loader, error) // a loader of all evaluation batches; nil if there is none

	step   int   // done
	tokens int64 // trained
	batch  data.Batch
	raw    []byte
}

// New makes a trainer of the plans: states that are no weights are zero, and
// weights must be put into Store before it is bound.
func New(b kernels.Backend, p *Plans, c Config, train *data.Loader, eval func() (*data.Loader, error)) (*Trainer, error) {
	t := &Trainer{cfg: c, plans: p, store: session.NewStore(b), sessions: map[*plan.Plan]*session.Session{}, train: train, eval: eval}
	var work int64
	for _, x := range p.all() {
		work = max(work, x.WorkBytes)
		if err := t.store.Reserve(x.States); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	var err error
	if t.arena, err = b.Alloc(work); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Bind resolves the kernels, now that the weights are there.
func (t *Trainer) Bind(b kernels.Backend) error {
	for _, p := range t.plans.all() {
		s, err := session.Bind(b, p, t.store, t.arena)
		if err != nil {
			return err
		}
		t.sessions[p] = s
	}
	return nil
}

// Store holds weights and what the optimizer keeps.
func (t *Trainer) Store() *session.Store { return t.store }

// Bytes is the memory that the trainer has allocated.
func (t *Trainer) Bytes() int64 { return t.store.Bytes() + t.arena.Size() }

// Close gives the memory back.
func (t *Trainer) Close() error {
	err := t.store.Free()
	if t.arena != nil {
		err = errors.Join(err, t.arena.Free())
	}
	return err
}

// Step is the number of steps that were made.
func (t *Trainer) Step() int { return t.step }

// Run trains until the last step, and reports every step. It stops at the
// first error of report, after a whole step; so it does when ctx ends. A loss
// that is not finite is a *session.NaNError that says where it began.
func (t *Trainer) Run(ctx context.Context, report func(Event) error) error {
	start, last, lastTokens := time.Now(), time.Now(), t.tokens
	for t.step < t.cfg.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := t.one(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		end := t.step == t.cfg.Steps
		e.Log = end || t.step == 1 || due(t.step, t.cfg.LogEvery)
		e.Save = end || due(t.step, t.cfg.SaveEvery)
		if t.eval != nil && (end || due(t.step, t.cfg.EvalEvery)) {
			loss, err := t.Evaluate(ctx)
			if err != nil {
				return err
			}
			e.Eval, e.Log = &loss, true
		}
		now := time.Now()
		e.Elapsed = now.Sub(start)
		if e.Log {
			e.Speed = float64(t.tokens-lastTokens) / now.Sub(last).Seconds()
			last, lastTokens = now, t.tokens
		}
		if err := report(e); err != nil {
			return err
		}
	}
	return nil
}

func due(step, every int) bool { return every > 0 && step%every == 0 }

// one makes one step of the optimizer.
func (t *Trainer) one(ctx context.Context) (Event, error) {
	var sum, count float64
	p, parts := t.plans.Step, 1
	if p == nil {
		p, parts = t.plans.Accumulate, t.cfg.Accumulate
	}
	rate := t.cfg.Rate(t.step + 1)
	last := t.sessions[p]
	for range parts {
		if err := t.train.Next(&t.batch); errors.Is(err, io.EOF) {
			return Event{}, fmt.Errorf("the training data ends after %d steps of %d", t.step, t.cfg.Steps)
		} else if err != nil {
			return Event{}, err
		}
		if p == t.plans.Step {
			if err := t.scalars(last, rate); err != nil {
				return Event{}, err
			}
		}
		s, n, err := t.feed(ctx, last)
		if err != nil {
			return Event{}, err
		}
		sum, count = sum+s, count+n
		t.tokens += int64(t.batch.Trained)
	}
	if p != t.plans.Step {
		last = t.sessions[t.plans.Update]
		if err := t.scalars(last, rate); err != nil {
			return Event{}, err
		}
		if err := last.Run(ctx); err != nil {
			return Event{}, err
		}
	}
	norm, err := t.scalar(last, "grad_norm")
	if err != nil {
		return Event{}, err
	}
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return Event{}, &session.NaNError{Pos: ir.Pos{Path: "grad_norm"}, Op: "training"}
	}
	t.step++
	return Event{Step: t.step, Loss: sum / count, GradNorm: norm, Rate: rate, Tokens: t.tokens}, nil
}

// feed runs one batch, and returns the sum of its losses and their count.
func (t *Trainer) feed(ctx context.Context, s *session.Session) (sum, count float64, err error) {
	if err := errors.Join(t.ints(s, "ids", t.batch.IDs), t.ints(s, "targets", t.batch.Targets), t.floats(s, "weights", t.batch.Weights)); err != nil {
		return 0, 0, err
	}
	if slices.ContainsFunc(s.Plan().Inputs, func(in plan.Port) bool { return in.Name == "segments" }) {
		if err := t.ints(s, "segments", t.batch.Segments); err != nil {
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
	if count == 0 {
		return 0, 0, fmt.Errorf("no token of a batch is trained")
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		if where := s.Trace(ctx); where != nil {
			return 0, 0, where
		}
		return 0, 0, &session.NaNError{Op: "loss"}
	}
	return sum, count, nil
}

// Evaluate returns the mean loss of the evaluation data.
func (t *Trainer) Evaluate(ctx context.Context) (float64, error) {
	l, err := t.eval()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	var sum, count float64
	for n := 0; t.cfg.EvalParts == 0 || n < t.cfg.EvalParts; n++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := l.Next(&t.batch); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		if t.batch.Trained == 0 {
			continue
		}
		s, n, err := t.feed(ctx, t.sessions[t.plans.Evaluate])
		if err != nil {
			return 0, err
		}
		sum, count = sum+s, count+n
	}
	if count == 0 {
		return 0, fmt.Errorf("the evaluation data has no token that counts")
	}
	return sum / count, nil
}

func (t *Trainer) scalars(s *session.Session, rate float64) error {
	return errors.Join(t.floats(s, "lr", []float32{float32(rate)}), t.floats(s, "step", []float32{float32(t.step + 1)}))
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
