package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor"
	"pipe.dev/executor/model"
	"pipe.dev/kernels/bench"
	"pipe.dev/schema"
)

// callBench is how long a call of a model over whole inputs takes.
type callBench struct {
	Model string         `json:"model"`
	Entry string         `json:"entry"`
	Sizes map[string]int `json:"sizes"`
	FLOPs int64          `json:"flops"`
	Work  int64          `json:"work_bytes"`
	timing
	Ops   []opBench   `json:"ops"`
	Steps []stepBench `json:"steps"`
}

// opBench is what all steps of one op take.
type opBench struct {
	Op      string  `json:"op"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	FLOPs   int64   `json:"flops"`
}

// stepBench is what one step of a plan takes.
type stepBench struct {
	Op      string  `json:"op"`
	Node    string  `json:"node"`
	Types   string  `json:"types"`
	Seconds float64 `json:"seconds"`
	FLOPs   int64   `json:"flops"`
	Bytes   int64   `json:"bytes"`
}

// calls measures calls of the models of a pipeline, none of which makes text.
func (f *benchFlags) calls(ctx context.Context, c *console, e *engine, doc *schema.Document, report *benchReport) error {
	p, err := e.prepare(doc, executor.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	bar := newProgress(c)
	defer bar.stop()
	settle() // as pipe run does
	for i, m := range p.Models() {
		if len(m.Plans()) == 0 {
			continue
		}
		if err := m.Load(ctx); err != nil {
			return err
		}
		name := "models." + doc.Pipeline.Models[i].Name
		for _, made := range m.Plans() {
			t, err := m.Time(ctx, made, f.repeat, func(done int) {
				bar.count(name, int64(done), int64(f.repeat))
				report.Memory.see()
			})
			if err != nil {
				return err
			}
			report.Calls = append(report.Calls, newCallBench(name, t))
		}
	}
	return nil
}

func newCallBench(name string, t *model.Timing) callBench {
	median := func(x []float64) float64 { return bench.Summarize(slices.Clone(x)).Median }
	flops := map[string]int64{}
	out := callBench{Model: name, Entry: t.Plan.Name, Sizes: t.Plan.Sizes, FLOPs: t.Plan.FLOPs(), Work: t.Plan.WorkBytes, timing: timingOf(bench.Summarize(t.Calls))}
	for i, st := range t.Plan.Steps {
		flops[st.Op] += st.FLOPs
		out.Steps = append(out.Steps, stepBench{Op: st.Op, Node: st.Pos.Path, Types: typesText(st), Seconds: median(t.Steps[i]), FLOPs: st.FLOPs, Bytes: st.Bytes})
	}
	for _, o := range t.Ops(median) {
		out.Ops = append(out.Ops, opBench{o.Name, o.Calls, o.Seconds, flops[o.Name]})
	}
	return out
}

// typesText is the types of what a step reads and writes.
func typesText(st plan.Step) string {
	list := func(places []plan.Place) string {
		var names []string
		for _, at := range places {
			if at.State != plan.None {
				names = append(names, at.Type.String())
			}
		}
		return strings.Join(names, " ")
	}
	return list(st.In) + " -> " + list(st.Out)
}

// text is the call, and its ops down to a hundredth of its time.
func (r *callBench) text(row func(what string, t *timing, speed string)) string {
	row(r.Entry+" call", &r.timing, fmt.Sprintf("%.1f GFLOP/s", float64(r.FLOPs)/r.Median/1e9))
	return opsText(r.Ops, r.Median)
}

// opsText is a line for each op, down to a hundredth of the whole.
func opsText(ops []opBench, whole float64) string {
	var b strings.Builder
	for _, o := range ops {
		if o.Seconds < whole/100 {
			break
		}
		fmt.Fprintf(&b, "  %-24s %10s %9.1f%% of it %14d calls  %.1f GFLOP/s\n", o.Op, shortTime(o.Seconds), 100*o.Seconds/whole, o.Calls, float64(o.FLOPs)/max(o.Seconds, 1e-9)/1e9)
	}
	return b.String()
}
