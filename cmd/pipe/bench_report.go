package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/executor/learn"
	"pipe.dev/executor/pace"
	"pipe.dev/kernels/bench"
)

// benchReport is what pipe bench shows of a document.
type benchReport struct {
	Document string         `json:"document"`
	Name     string         `json:"name"`
	Hash     string         `json:"hash"`
	Device   string         `json:"device"`
	Memory   memoryUse      `json:"memory"`
	Models   []modelBench   `json:"models,omitempty"`
	Calls    []callBench    `json:"calls,omitempty"`
	Training *trainingBench `json:"training,omitempty"`
}

// modelBench is how fast a model makes text. What an interruption left out is
// absent.
type modelBench struct {
	Model   string        `json:"model"`
	Context int           `json:"context"`
	First   int           `json:"first_token_prompt"`
	Cold    *timing       `json:"first_token_cold,omitempty"`
	Warm    *timing       `json:"first_token_warm,omitempty"`
	Prompts []promptBench `json:"prefill,omitempty"`
	Decode  *decodeBench  `json:"decode,omitempty"`
}

type promptBench struct {
	Tokens int     `json:"tokens"`
	Speed  float64 `json:"tokens_per_second"`
	timing
}

type decodeBench struct {
	Past   int     `json:"past"`
	Tokens int     `json:"tokens"`
	Speed  float64 `json:"tokens_per_second"`
	timing         // of one token
}

// trainingBench is how fast a recipe trains.
type trainingBench struct {
	Step     *timing `json:"step,omitempty"`
	Tokens   float64 `json:"tokens_per_second,omitempty"`
	Examples float64 `json:"examples_per_second,omitempty"`
	Eval     *timing `json:"evaluation_batch,omitempty"`
	// What ops and steps of plans take of a step, on average.
	Ops   []opBench   `json:"ops,omitempty"`
	Steps []stepBench `json:"steps,omitempty"`
}

// measured is a timing, or nil if nothing was measured.
func measured(s bench.Summary) *timing {
	if s.Runs == 0 {
		return nil
	}
	t := timingOf(s)
	return &t
}

func textBench(name string, t *pace.Text) modelBench {
	m := modelBench{Model: name, Context: t.Context, First: t.First, Cold: measured(t.Cold), Warm: measured(t.Warm)}
	for _, p := range t.Prompts {
		m.Prompts = append(m.Prompts, promptBench{p.Tokens, float64(p.Tokens) / p.Seconds.Median, timingOf(p.Seconds)})
	}
	if d := t.Decode; d.Runs > 0 {
		m.Decode = &decodeBench{t.Past, t.Tokens, 1 / d.Median, timingOf(d)}
	}
	return m
}

func trainBench(t *learn.Tried) *trainingBench {
	out := &trainingBench{Step: measured(bench.Summarize(t.Steps)), Eval: measured(bench.Summarize(t.Evals))}
	switch {
	case out.Step == nil:
	case t.Unit == "tokens":
		out.Tokens = t.Trained / out.Step.Median
	default:
		out.Examples = t.Trained / out.Step.Median
	}
	out.share(t)
	return out
}

// share tells what a step of the optimizer falls to.
func (b *trainingBench) share(t *learn.Tried) {
	by := map[string]*opBench{}
	for _, w := range t.Plans {
		times := float64(w.Calls) / float64(t.Watched) // of the plan, in a step of the optimizer
		for i, st := range w.Plan.Steps {
			seconds := w.Took[i].Seconds() / float64(t.Watched)
			b.Steps = append(b.Steps, stepBench{Op: st.Op, Node: st.Pos.Path, Types: typesText(st), Seconds: seconds,
				FLOPs: int64(times * float64(st.FLOPs)), Bytes: int64(times * float64(st.Bytes))})
			if by[st.Op] == nil {
				by[st.Op] = &opBench{Op: st.Op}
			}
			o := by[st.Op]
			o.Calls, o.Seconds, o.FLOPs = o.Calls+int(times+0.5), o.Seconds+seconds, o.FLOPs+int64(times*float64(st.FLOPs))
		}
	}
	for _, o := range by {
		b.Ops = append(b.Ops, *o)
	}
	slices.SortFunc(b.Ops, func(x, y opBench) int { return cmp.Or(cmp.Compare(y.Seconds, x.Seconds), strings.Compare(x.Op, y.Op)) })
}

// end writes the report, whole or as far as it came before an error, which it
// returns. Without anything measured there is no report.
func (r *benchReport) end(c *console, asJSON bool, err error) error {
	nothing := (r.Training == nil || r.Training.Step == nil) && len(r.Calls) == 0
	for _, m := range r.Models {
		nothing = nothing && m.Cold == nil
	}
	if err != nil && (nothing || exitCode(err) != exitInterrupted) {
		return err
	}
	if asJSON {
		return errors.Join(err, c.writeJSON(r))
	}
	_, failed := fmt.Fprint(c.out, r.text())
	return errors.Join(err, failed)
}

func (r *benchReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "document %s on %s\n%s", r.Name, r.Device, r.Memory.text())
	row := func(what string, t *timing, speed string) {
		if t != nil {
			fmt.Fprintf(&b, "%-26s %10s %10s %6.1f%% %5d  %s\n", what, shortTime(t.Median), shortTime(t.Least), 100*t.Spread, t.Runs, speed)
		}
	}
	head := func(what string) {
		fmt.Fprintf(&b, "\n%-26s %10s %10s %7s %5s\n", what, "median", "least", "spread", "runs")
	}
	for _, m := range r.Models {
		head(m.Model)
		first := fmt.Sprintf("after %d tokens", m.First)
		row("first token, cold", m.Cold, first)
		row("first token, warm", m.Warm, first)
		for _, p := range m.Prompts {
			row(fmt.Sprintf("prompt of %d tokens", p.Tokens), &p.timing, fmt.Sprintf("%.1f tokens/s", p.Speed))
		}
		if d := m.Decode; d != nil {
			row(fmt.Sprintf("token after %d positions", d.Past), &d.timing, fmt.Sprintf("%.1f tokens/s", d.Speed))
		}
	}
	for i := range r.Calls {
		head(r.Calls[i].Model)
		b.WriteString(r.Calls[i].text(row))
	}
	if t := r.Training; t != nil {
		head("training")
		speed := fmt.Sprintf("%.0f tokens/s", t.Tokens)
		if t.Examples > 0 {
			speed = fmt.Sprintf("%.0f examples/s", t.Examples)
		}
		row("step", t.Step, speed)
		if t.Step != nil {
			b.WriteString(opsText(t.Ops, t.Step.Median))
		}
		row("batch of an evaluation", t.Eval, "")
	}
	return b.String()
}
