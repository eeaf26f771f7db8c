package learn

import "time"

// clock tells the time of training from that of all else.
type clock struct {
	start      time.Time
	busy, last time.Duration // in steps: all, and up to the last event
	first      int           // steps done before
	tokens     int64         // up to the last event
	evals      int
	evaluating time.Duration
}

// speed is that of the tokens since the last event, a second.
func (c *clock) speed(tokens int64) float64 {
	s := float64(tokens-c.tokens) / (c.busy - c.last).Seconds()
	c.tokens, c.last = tokens, c.busy
	return s
}

// left is the time that the steps and evaluations to come will take if they are
// as fast as those so far.
func (c *clock) left(t *Trainer) time.Duration {
	var left time.Duration
	if done := t.step - c.first; done > 0 {
		left = time.Duration(float64(c.busy) / float64(done) * float64(t.cfg.Steps-t.step))
	}
	if c.evals > 0 && t.step < t.cfg.Steps {
		n := 1
		if every := t.cfg.EvalEvery; every > 0 {
			n += (t.cfg.Steps-1)/every - t.step/every
		}
		left += c.evaluating / time.Duration(c.evals) * time.Duration(n)
	}
	return left
}
