// Package learn trains: it feeds batches through the plans of a training step,
// measures, evaluates and hands what happens to its caller.
//
// What is learnt, and how, is in the plans: the loop knows no loss, no
// gradient and no optimizer.
package learn

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
	"pipe.dev/kernels"
)

// Plans are the programs of the parts of a step, in the order of their turns.
type Plans []PartPlans

// PartPlans are the programs of one part. Step takes a whole batch at once;
// otherwise Accumulate takes each micro-batch, and Update makes the step. Where that runs on
// the host, Begin makes sums 0 on the device before the first. Those of batches are by the length of rows, or the number of examples. Evaluate may be nil.
type PartPlans struct {
	Step, Accumulate, Evaluate map[int]*plan.Plan
	Begin, Update              *plan.Plan
}

// all lists those that there are.
func (p Plans) all() []*plan.Plan {
	var list []*plan.Plan
	for _, x := range p {
		for _, m := range []map[int]*plan.Plan{x.Step, x.Accumulate} {
			for _, n := range slices.Sorted(maps.Keys(m)) {
				list = append(list, m[n])
			}
		}
		for _, p := range []*plan.Plan{x.Begin, x.Update} {
			if p != nil {
				list = append(list, p)
			}
		}
		for _, n := range slices.Sorted(maps.Keys(x.Evaluate)) {
			list = append(list, x.Evaluate[n])
		}
	}
	return list
}

// Loader gives batches: rows of text, or examples.
type Loader interface {
	Next(*data.Batch) error  // io.EOF after the last
	Position() data.Position // after the last batch given
	Close()
}

// Config says how long to train and when to look.
type Config struct {
	Steps      int
	Accumulate int    // batches of one step
	Parts      []Turn // of the plans' parts
	LogEvery   int    // steps; the first and the last are logged too
	EvalEvery  int    // steps; 0 is only at the end
	EvalParts  int    // batches of an evaluation; 0 is all
	SaveEvery  int    // steps; 0 is only at the end
	// Distribution, if set, is given values of weights, and, if the plans
	// accumulate them, of gradients, after steps that are evaluated or saved.
	Distribution func(step int, tag string, values []float32) error
	// Data and EvalData name what is learnt from and evaluated on, for errors.
	Data, EvalData string
	// Epoch is how many batches go once through the data; it is asked only once
	// batches have nothing to train.
	Epoch func() (int64, error)
}

// Turn says when a part of a step takes its turn, and at which learning rate.
type Turn struct {
	Name  string                 // "" if the step has one part
	Every int                    // steps
	From  int                    // steps before its first turn
	Rate  func(turn int) float64 // learning rate of a turn, from 1
}

// number says whether the part has a turn once done steps were made, and which
// of all, from 1.
func (t Turn) number(done int) (n int, due bool) {
	since := done - t.From
	return since/t.Every + 1, since >= 0 && since%t.Every == 0
}

// count is the number of turns in a run of steps.
func (t Turn) count(steps int) int { return max(0, steps-t.From+t.Every-1) / t.Every }

// Event is what the loop reports of a step. Loss, GradNorm, Rate and Eval are
// of the part whose turn it was first.
type Event struct {
	Step     int
	Loss     float64 // mean per trained token, nats, of the batches of this step
	GradNorm float64 // before clipping
	Rate     float64
	Tokens   int64         // trained tokens, or examples, since the beginning of the run
	Unit     string        // what Tokens and Speed count: "tokens" or "examples"
	Speed    float64       // of them a second of training, since the last event
	Skipped  int64         // batches without a token that is trained, since the beginning of the run
	Elapsed  time.Duration // since this process began to train
	Left     time.Duration // expected until the last step is done
	Eval     *float64      // mean loss of the evaluation after this step
	EvalTime time.Duration // that it took
	// More holds "loss/PART", "grad_norm/PART", "lr/PART" and "eval_loss/PART" of
	// several parts, "loss/TERM" of several losses, and "eval/NAME" of measures, and of a
	// loss that is scaled "loss_scale", for the next step, and "skipped_steps",
	// since the beginning of the run, whose gradients were not finite.
	More map[string]float64
	// Norms are, of a step to be logged, the norm of the gradient of each layer,
	// before it is clipped by the norm; as "PART/LAYER" of several parts.
	Norms map[string]float64
	Log   bool // whether this step is one to be logged
	Save  bool // whether a checkpoint is due after this step
}

// Trainer holds a model in training.
type Trainer struct {
	cfg      Config
	plans    Plans
	device   side
	host     side               // of updates that are apart
	onHost   map[string]bool    // the states there
	shared   map[string]*shared // those on both sides
	piece    []byte             // of one on its way that is made narrow
	sessions map[*plan.Plan]*session.Session
	train    Loader
	eval     func() (Loader, error) // a loader of all evaluation batches; nil if there is none

	step    int          // done
	tokens  int64        // trained
	skipped int64        // batches with nothing to train
	pending *Event       // of a step whose evaluation was interrupted
	skips   []skips      // of each part
	counter int32        // number of the batch at hand, of all since the run began
	batch   []data.Batch // of a step
	spare   []data.Batch // of the next
	next    *drawn       // the next step's, if it was drawn
	at      data.Position
	ahead   *ahead
	raw     []byte
}

// Devices are where a training computes.
type Devices struct {
	Backend kernels.Backend
	Host    kernels.Backend // of updates that are apart; else it is not used
}

// New makes a trainer of the plans: states that are no weights are zero, and
// weights must be put into it before it is bound.
func New(on Devices, p Plans, c Config, train Loader, eval func() (Loader, error)) (*Trainer, error) {
	t := &Trainer{cfg: c, plans: p, sessions: map[*plan.Plan]*session.Session{}, train: train, eval: eval, onHost: map[string]bool{}, shared: sharedStates(p),
		skips: make([]skips, len(p)), batch: make([]data.Batch, c.Accumulate), spare: make([]data.Batch, c.Accumulate)}
	if train != nil {
		t.at = train.Position()
	}
	device, host := p.on(false), p.on(true)
	err := t.device.open(on.Backend, device, func(path string) bool { return t.shared[path] != nil })
	if err == nil && len(host) > 0 {
		for _, s := range session.Largest(host) {
			t.onHost[s.Path] = true
		}
		err = t.host.open(on.Host, host, func(string) bool { return false })
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	to, err := session.NewAhead(on.Backend, device)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if to != nil {
		t.ahead = &ahead{to: to}
	}
	return t, nil
}

// Bind resolves the kernels, now that the weights are there.
func (t *Trainer) Bind() error {
	for _, p := range t.plans.all() {
		at := &t.device
		if t.plans.onHost(p) {
			at = &t.host
		}
		s, err := session.Bind(at.backend, p, at.store, at.arena)
		if err != nil {
			return err
		}
		t.sessions[p] = s
	}
	return nil
}

// Bytes is the memory of the device that the trainer has allocated.
func (t *Trainer) Bytes() int64 {
	sum := t.device.bytes()
	if t.ahead != nil {
		sum += t.ahead.to.Bytes()
	}
	return sum
}

// HostBytes is what it has allocated on the host beside the device.
func (t *Trainer) HostBytes() int64 { return t.host.bytes() }

// Close gives the memory back.
func (t *Trainer) Close() error {
	err := errors.Join(t.device.close(), t.host.close())
	if t.ahead != nil {
		err = errors.Join(err, t.ahead.to.Free())
	}
	return err
}

// Step is the number of steps that were made.
func (t *Trainer) Step() int { return t.step }

// Run trains until the last step, and reports every step. It stops at the
// first error of report, after a whole step; so it does when ctx ends. A step
// whose evaluation ctx ended is reported when a trainer that was restored from
// its checkpoint runs. A loss that is not finite is a *session.NaNError that
// says where it began; data that end too early are an *EndedError.
func (t *Trainer) Run(ctx context.Context, report func(Event) error) error {
	c := clock{start: time.Now(), first: t.step, tokens: t.tokens}
	if e := t.pending; e != nil {
		if err := t.finish(ctx, &c, *e, report); err != nil {
			return err
		}
	}
	for t.step < t.cfg.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin := time.Now()
		e, err := t.one(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		c.busy += time.Since(begin)
		e.Log, e.Save = t.logs(t.step), t.saves(t.step)
		if e.Log {
			e.Speed = c.speed(t.tokens)
		}
		if err := t.finish(ctx, &c, e, report); err != nil {
			return err
		}
	}
	return nil
}

// finish evaluates after a step, if that is due, and reports it.
func (t *Trainer) finish(ctx context.Context, c *clock, e Event, report func(Event) error) error {
	t.pending = nil
	if t.evaluates(t.step) {
		begin := time.Now()
		if err := t.evaluate(ctx, &e); err != nil {
			t.pending = &e
			return err
		}
		e.EvalTime = time.Since(begin)
		c.evals, c.evaluating = c.evals+1, c.evaluating+e.EvalTime
	}
	e.Elapsed, e.Left = time.Since(c.start), c.left(t)
	return report(e)
}

// logs, saves and evaluates say what a step is for besides learning.
func (t *Trainer) logs(step int) bool {
	return step == t.cfg.Steps || step == 1 || due(step, t.cfg.LogEvery) || t.evaluates(step)
}

func (t *Trainer) saves(step int) bool { return step == t.cfg.Steps || due(step, t.cfg.SaveEvery) }

func (t *Trainer) evaluates(step int) bool {
	return t.eval != nil && (step == t.cfg.Steps || due(step, t.cfg.EvalEvery))
}

func due(step, every int) bool { return every > 0 && step%every == 0 }
