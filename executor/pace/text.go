// Package pace measures how fast a model makes text: prompts of several
// lengths, token after token, and how long the first one takes.
//
// It runs the model as a pipeline does, with its real weights. What a prompt
// says does not matter for that, so it is made up.
package pace

import (
	"context"
	"errors"
	"slices"
	"time"

	"pipe.dev/executor/decode"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
	"pipe.dev/kernels/bench"
)

// Options say what to measure.
type Options struct {
	// Open opens a model and reads its weights, and says how to close it again.
	Open    func(ctx context.Context) (m *model.Model, close func() error, err error)
	Prompts []int // lengths, tokens; nil means those of Lengths that the context has room for
	Tokens  int   // to make after a prompt, if the context has room for them
	Past    int   // the length of that prompt; 0 means the longest that leaves room
	Repeat  int   // measurements of each thing
	// Progress is told what is measured next, and, while the model is still open, that the last was; it may be nil.
	Progress func(what string, done, total int)
	Now      func() time.Time // the clock; nil is the system's
}

// Lengths are the lengths of prompts that are measured by default.
var Lengths = [...]int{32, 128, 512}

// Text is how fast a model makes text. What was not measured has no runs.
type Text struct {
	Context int
	First   int           // tokens of the prompt before the first token
	Cold    bench.Summary // seconds from opening the files to the first token
	Warm    bench.Summary // seconds from the prompt to the first token, of a loaded model
	Prompts []Prompt
	Past    int           // positions before the tokens that were made
	Tokens  int           // that were made each time
	Decode  bench.Summary // seconds of one token, its choice among the likeliest included
}

// Prompt is the time of a prompt.
type Prompt struct {
	Tokens  int
	Seconds bench.Summary
}

// measurement is one in progress.
type measurement struct {
	Options
	g    *decode.Generator
	s    *sampler.Sampler
	text *Text
	done int
}

// Measure opens a model, some times, and measures it. When ctx ends it returns
// what there is with the error of ctx. A prompt that the context has no room
// for is a *decode.ContextError.
func Measure(ctx context.Context, o Options) (t *Text, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &measurement{Options: o, text: &Text{}}
	var closing func() error
	defer func() {
		if closing != nil {
			err = errors.Join(err, closing())
		}
	}()
	var cold []float64
	for range o.Repeat {
		if closing != nil {
			err, closing = closing(), nil
		}
		if err == nil {
			m.tell("opening", o.Repeat)
			var seconds float64
			seconds, closing, err = m.open(ctx)
			cold = append(cold, seconds)
		}
		if err != nil {
			return m.text, err
		}
	}
	m.text.Cold = bench.Summarize(cold)
	for _, part := range []func(context.Context) error{m.warm, m.prompts, m.decode} {
		if err := part(ctx); err != nil {
			return m.text, err
		}
	}
	if m.Progress != nil {
		m.Progress("tokens", m.Repeat, m.Repeat)
	}
	return m.text, nil
}

func (m *measurement) tell(what string, total int) {
	if m.Progress != nil {
		m.Progress(what, m.done%total, total)
	}
	m.done++
}

// open opens the model anew, as far as its first token.
func (m *measurement) open(ctx context.Context) (float64, func() error, error) {
	from := m.Now()
	opened, closing, err := m.Open(ctx)
	if err != nil {
		return 0, nil, err
	}
	if m.g, err = opened.Generator(); err == nil {
		m.s, err = sampler.New(m.g.Vocab(), sampler.Options{})
	}
	if err == nil && m.text.Context == 0 {
		err = m.sizes()
	}
	if err == nil {
		err = m.first(ctx)
	}
	return m.Now().Sub(from).Seconds(), closing, err
}

// sizes chooses lengths that the context has room for.
func (m *measurement) sizes() error {
	t := m.text
	t.Context = m.g.Context()
	for _, n := range m.Options.Prompts {
		if n >= t.Context {
			return &decode.ContextError{Prompt: n, Want: 1, Context: t.Context}
		}
	}
	if m.Options.Prompts == nil {
		m.Options.Prompts = slices.DeleteFunc(slices.Clone(Lengths[:]), func(n int) bool { return n >= t.Context })
	}
	if len(m.Options.Prompts) == 0 {
		m.Options.Prompts = []int{max(1, t.Context/2)}
	}
	t.First = slices.Min(m.Options.Prompts)
	t.Past = t.First
	for _, n := range m.Options.Prompts {
		if n+1+m.Options.Tokens <= t.Context {
			t.Past = max(t.Past, n)
		}
	}
	if n := m.Options.Past; n > 0 {
		t.Past = n
		if n+1 >= t.Context {
			return &decode.ContextError{Prompt: n, Want: 1, Context: t.Context}
		}
	}
	t.Tokens = min(m.Options.Tokens, t.Context-t.Past-1)
	return nil
}

// prompt makes up n tokens.
func (m *measurement) prompt(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((7919*i + 1) % m.g.Vocab())
	}
	return ids
}

// first makes the first token after a prompt.
func (m *measurement) first(ctx context.Context) error {
	if err := m.g.Start(ctx, m.prompt(m.text.First), 1); err != nil {
		return err
	}
	_, err := m.g.Next(m.s)
	return err
}

// repeat measures f, which says from when on.
func (m *measurement) repeat(what string, f func() (time.Time, error)) (bench.Summary, error) {
	var all []float64
	for range m.Repeat {
		m.tell(what, m.Repeat)
		from, err := f()
		if err != nil {
			return bench.Summary{}, err
		}
		all = append(all, m.Now().Sub(from).Seconds())
	}
	return bench.Summarize(all), nil
}

func (m *measurement) warm(ctx context.Context) (err error) {
	m.text.Warm, err = m.repeat("the first token", func() (time.Time, error) { return m.Now(), m.first(ctx) })
	return err
}

func (m *measurement) prompts(ctx context.Context) error {
	for _, n := range m.Options.Prompts {
		ids := m.prompt(n)
		if err := m.g.Start(ctx, ids, 1); err != nil { // memory that nothing touched yet
			return err
		}
		s, err := m.repeat("prompts", func() (time.Time, error) { return m.Now(), m.g.Start(ctx, ids, 1) })
		if err != nil {
			return err
		}
		m.text.Prompts = append(m.text.Prompts, Prompt{n, s})
	}
	return nil
}

// decode makes tokens after a prompt, one of them before time counts.
func (m *measurement) decode(ctx context.Context) error {
	t := m.text
	if t.Tokens < 1 {
		return nil
	}
	s, err := m.repeat("tokens", func() (from time.Time, err error) {
		if err := m.g.Start(ctx, m.prompt(t.Past), t.Tokens+1); err != nil {
			return from, err
		}
		for i := range t.Tokens + 1 {
			if i == 1 {
				from = m.Now()
			}
			id, err := m.g.Next(m.s)
			if err == nil {
				err = m.g.Push(ctx, id)
			}
			if err != nil {
				return from, err
			}
		}
		return from, nil
	})
	if s.Runs > 0 {
		n := float64(t.Tokens)
		t.Decode = bench.Summary{Median: s.Median / n, Least: s.Least / n, Spread: s.Spread, Runs: s.Runs}
	}
	return err
}
