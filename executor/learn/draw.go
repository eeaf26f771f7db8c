package learn

import (
	"errors"
	"fmt"
	"io"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
)

// drawn are the batches of a step, and where the data stand after them.
type drawn struct {
	batch   []data.Batch
	trained int64 // tokens, or examples
	skipped int64 // batches with nothing to train
	at      data.Position
	err     error
}

// draw takes the batches of a step, those that were drawn while the device was at the
// one before, if they were.
func (t *Trainer) draw() error {
	d := t.next
	if d == nil {
		d = t.batches()
	}
	t.next, t.spare, t.batch = nil, t.batch, d.batch
	t.tokens, t.skipped, t.at = t.tokens+d.trained, t.skipped+d.skipped, d.at
	if ended, ok := d.err.(*EndedError); ok {
		ended.Step = t.step // which it was not yet, if they were drawn before
	}
	return d.err
}

// batches draws the batches of the next step. Those that have nothing to train count
// nothing in it; where none has anything, others are taken.
func (t *Trainer) batches() *drawn {
	d := &drawn{batch: t.spare}
	d.err = t.drawInto(d)
	d.at = t.train.Position()
	return d
}

func (t *Trainer) drawInto(d *drawn) error {
	for empty := int64(0); ; {
		trained := 0
		for i := range d.batch {
			err := t.train.Next(&d.batch[i])
			if errors.Is(err, io.EOF) {
				return &EndedError{File: t.cfg.Data, Step: t.step, Steps: t.cfg.Steps}
			}
			if err != nil {
				return err
			}
			if trained += d.batch[i].Trained; d.batch[i].Trained == 0 {
				d.skipped++
				empty++
			}
		}
		if trained > 0 {
			d.trained = int64(trained)
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

// ahead is the batch whose inputs are on their way to the device; nil on one that
// can't copy beside what it computes.
type ahead struct {
	to     *session.Ahead
	of     *session.Session
	number int64
}

// take makes a batch the inputs of the next run of s, if it is the one that was filled
// for it.
func (a *ahead) take(s *session.Session, number int64) (bool, error) {
	if a == nil || a.of != s || a.number != number {
		return false, nil
	}
	a.of = nil
	return true, a.to.Take()
}

// ofBatch reports whether an input is what a batch holds, and not what a run counts.
func ofBatch(in plan.Port) bool {
	switch in.Name {
	case "lr", "step", "#done", "counter":
		return false
	}
	return true
}

// fill begins to copy a batch for the next run of s.
func (t *Trainer) fill(s *session.Session, b *data.Batch, number int64) error {
	t.ahead.of, t.ahead.number = s, number
	t.ahead.to.Begin(s)
	for _, in := range s.Plan().Inputs {
		if !ofBatch(in) {
			continue
		}
		if err := t.input(t.ahead.to, s.Plan(), in, b); err != nil {
			return err
		}
	}
	return nil
}

// takes is the session that takes a batch of a part.
func (t *Trainer) takes(part int, b *data.Batch) *session.Session {
	if p := t.plans[part]; p.Update == nil {
		return t.sessions[p.Step[sizeOf(b)]]
	}
	return t.sessions[t.plans[part].Accumulate[sizeOf(b)]]
}

// beside is what is done while the device is at batch i of those of a part: the next
// batch is drawn and copied. It is nil where that is not to be.
func (t *Trainer) beside(part int, full []data.Batch, i int) func() error {
	switch {
	case t.ahead == nil:
		return nil
	case i+1 < len(full):
		return func() error { return t.fill(t.takes(part, &full[i+1]), &full[i+1], int64(t.counter)+1) }
	}
	if next := t.partAfter(part); next >= 0 { // it takes the same batches
		return func() error { return t.fill(t.takes(next, &full[0]), &full[0], int64(t.step*len(t.batch))) }
	}
	if t.step+1 >= t.cfg.Steps || t.evaluates(t.step+1) {
		return nil
	}
	return t.besideStep
}

// besideStep draws the batches of the next step, and begins to copy the first.
func (t *Trainer) besideStep() error {
	if t.next = t.batches(); t.next.err != nil {
		return nil // it is told when its turn comes
	}
	for part, turn := range t.cfg.Parts {
		if _, due := turn.number(t.step + 1); !due {
			continue
		}
		for i := range t.next.batch {
			if b := &t.next.batch[i]; b.Trained > 0 {
				return t.fill(t.takes(part, b), b, int64(t.step+1)*int64(len(t.batch)))
			}
		}
	}
	return nil
}

// partAfter is the part that has the next turn in this step; -1 if there is none.
func (t *Trainer) partAfter(part int) int {
	for i := part + 1; i < len(t.cfg.Parts); i++ {
		if _, due := t.cfg.Parts[i].number(t.step); due {
			return i
		}
	}
	return -1
}
