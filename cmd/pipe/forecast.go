package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pipe.dev/executor/gauge"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
)

// How long pipe plan and pipe run measure, about.
const (
	planBudget = 3 * time.Second
	runBudget  = time.Second
)

// forecast is a prediction of time, of a recipe or of one model of a pipeline.
type forecast struct {
	Model    string       `json:"model,omitempty"`
	Step     float64      `json:"step_seconds,omitempty"`
	Tokens   float64      `json:"tokens_per_second,omitempty"`
	Examples float64      `json:"examples_per_second,omitempty"`
	Eval     float64      `json:"evaluation_seconds,omitempty"`
	Evals    int          `json:"evaluations,omitempty"`
	Total    float64      `json:"total_seconds,omitempty"`
	Measured float64      `json:"measured,omitempty"`
	Past     int          `json:"past,omitempty"`
	Texts    int          `json:"texts,omitempty"`
	Token    float64      `json:"token_seconds,omitempty"`
	Prompt   float64      `json:"prompt_tokens_per_second,omitempty"`
	Call     float64      `json:"call_seconds,omitempty"`
	Ops      []opForecast `json:"ops"`
	head     string
}

// opForecast is what all steps of one op take.
type opForecast struct {
	Op      string  `json:"op"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	Share   float64 `json:"share"`
}

func opForecasts(ops []gauge.Op) []opForecast {
	var all float64
	for _, o := range ops {
		all += o.Seconds
	}
	out := []opForecast{}
	for _, o := range ops {
		out = append(out, opForecast{o.Name, o.Calls, o.Seconds, o.Seconds / max(all, 1e-12)})
	}
	return out
}

// forecastRecipe predicts the time of a recipe.
func forecastRecipe(ctx context.Context, r *learn.Run, budget time.Duration) (*forecast, error) {
	f, err := r.Forecast(ctx, budget)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("time %s a step, %.0f %s/s; %s for %d steps", shortTime(f.Step), f.Speed, f.Unit, longTime(f.Total), r.Recipe.Steps.Steps)
	if f.Evaluations > 0 {
		head += fmt.Sprintf(" and %d evaluations of %s", f.Evaluations, shortTime(f.Evaluation))
	}
	if f.Measured < 0.995 {
		head += fmt.Sprintf(" (%.0f%% of a step measured, the rest concluded)", 100*f.Measured)
	}
	out := &forecast{Step: f.Step, Eval: f.Evaluation, Evals: f.Evaluations, Total: f.Total, Measured: f.Measured, Ops: opForecasts(f.Ops), head: head}
	if f.Unit == "tokens" {
		out.Tokens = f.Speed
	} else {
		out.Examples = f.Speed
	}
	return out, nil
}

// forecastModel predicts the time of a model of a pipeline; nil if nothing
// runs it.
func forecastModel(ctx context.Context, m *model.Model, budget time.Duration) (*forecast, error) {
	f, err := m.Forecast(ctx, budget)
	if err != nil || f == nil {
		return nil, err
	}
	var parts []string
	if f.Token > 0 {
		of := ""
		if f.Texts > 1 {
			of = fmt.Sprintf(" of each of %d texts", f.Texts)
		}
		parts = append(parts, fmt.Sprintf("%s a token%s after %d positions, %.1f tokens/s", shortTime(f.Token), of, f.Past, float64(f.Texts)/f.Token),
			fmt.Sprintf("a prompt %.0f tokens/s, %d at a time", f.Prompt, f.Part))
	}
	if f.Call > 0 {
		parts = append(parts, shortTime(f.Call)+" for all sequences")
	}
	return &forecast{Model: m.Name(), Past: f.Past, Texts: f.Texts, Token: f.Token, Prompt: f.Prompt, Call: f.Call, Ops: opForecasts(f.Ops),
		head: "time of " + m.Name() + " " + strings.Join(parts, "; ")}, nil
}

// text is the prediction and a table of where the time goes.
func (f *forecast) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%-22s %6s %10s %6s\n", f.head, "op", "calls", "time", "share")
	for _, o := range f.Ops {
		fmt.Fprintf(&b, "%-22s %6d %10s %5.1f%%\n", o.Op, o.Calls, shortTime(o.Seconds), 100*o.Share)
	}
	return b.String()
}

// shortTime writes seconds with three digits and a unit: "61.2ms".
func shortTime(seconds float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}} {
		if seconds >= u.size {
			return fmt.Sprintf("%.3g%s", seconds/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3gµs", seconds*1e6)
}

// longTime writes seconds as "2m14s".
func longTime(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
