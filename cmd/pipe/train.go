package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	objectives "pipe.dev/compiler/train"
	"pipe.dev/executor/learn"
	"pipe.dev/schema"
)

// compileTraining returns what compiles the phases of a recipe.
func (e *engine) compileTraining(trace func(pass string, g *ir.Graph)) learn.Compile {
	return func(m *schema.Model, r *learn.Recipe, p *learn.Part, phase string, rows int, weight func(string) (ir.DType, bool)) (learn.Program, error) {
		apart := e.host != nil && r.Steps.Offload == "optimizer"
		target := e.backend
		if apart && phase == "update" {
			target = e.host
		}
		t := &compiler.Training{
			Phase: compiler.Phase(phase), Apart: apart, Copied: r.Copied, Part: p.Name, Losses: p.Losses, Optimizer: p.Optimizer, OptimizerAttr: p.OptimizerAttr,
			Trained: func(path string, _ []ir.Dim) bool { return r.Trained(p, path) }, Learns: r.Changes, Decays: r.Decays, Rate: r.RateOf, Norm: r.Norm,
			ClipNorm: r.Steps.ClipNorm, ClipValue: r.Steps.ClipValue, Isolate: r.Isolates(),
			Seed: r.Seed, Precision: r.Precision, LossScale: r.LossScale, Average: r.Average, Balance: r.Balance,
		}
		if r.Steps.Remat == "block" {
			t.Recompute = compiler.AllBlocks
		}
		if r.Adapts() {
			t.Adapter = &compiler.Adapter{Layer: func(path string) (compiler.AdaptedLayer, bool) {
				l, ok := r.AdaptedLayer(path)
				return compiler.AdaptedLayer{Rank: l.Rank, Scale: l.Scale, Dropout: l.Dropout, Magnitude: l.DoRA}, ok
			}}
		}
		return compiler.Compile(m, e.ops, compiler.Options{
			Entry: plan.Entry{Name: phase}, Target: target, Weight: weight, Trace: trace, Training: t,
			Sizes: map[string]int{"batch": rows}, TF32: r.TF32,
		})
	}
}

// weights lists the weights of a model, and its linear layers.
func (e *engine) weights(m *schema.Model, losses []objectives.Term) ([]*ir.State, []string, error) {
	return compiler.Weights(m, e.ops, losses)
}

// trainOptions are what surrounds a recipe.
func (e *engine) trainOptions(c *console, root string, trace func(pass string, g *ir.Graph)) learn.Options {
	return learn.Options{Backend: e.backend, Host: e.host, Memory: e.limit, HostMemory: e.memory, Compile: e.compileTraining(trace), Weights: e.weights, Forward: e.compile(nil), Root: root, Version: thisBuild().Version,
		Warn: func(err error) { c.log.Warn(err.Error()) }}
}

// trainDocument runs a recipe.
func trainDocument(cmd *cobra.Command, c *console, e *engine, doc *schema.Document, root string, asJSON bool, reload func([]string) (*schema.Document, error)) error {
	r, doc, chosen, err := e.fittedRecipe(doc, e.trainOptions(c, root, nil), reload)
	if r != nil {
		defer r.Close()
	}
	if err != nil {
		return err
	}
	sayChosen(c, chosen)
	w := &training{c: c, json: asJSON, steps: r.Recipe.Steps.Steps}
	if !c.quiet {
		if w.forecast, err = forecastRecipe(cmd.Context(), r, runBudget); err != nil {
			c.log.Debug("no prediction of time", "error", err)
		}
	}
	err = r.Execute(cmd.Context(), learn.Hear{Begin: w.begin, Step: w.step, Saved: func(folder string) {
		c.log.Debug("saved", "folder", folder)
	}})
	if err != nil {
		return err
	}
	return w.end(doc)
}

// training shows how a run goes on.
type training struct {
	c      *console
	json   bool
	folder string
	first  int // steps done before this process
	steps  int
	last   learn.Event
	eval   *float64

	forecast *forecast // nil if there is none
}

// early is the number of steps after which their speed says more than a
// prediction.
const early = 5

// left is how long the rest will take.
func (w *training) left(e learn.Event) time.Duration {
	if w.forecast != nil && e.Step-w.first < early {
		return time.Duration(w.forecast.Total * float64(time.Second) * float64(w.steps-e.Step) / float64(w.steps))
	}
	return e.Left
}

func (w *training) begin(folder string, last learn.Event) {
	w.folder, w.first, w.last, w.eval = folder, last.Step, last, last.Eval
	if last.Step > 0 {
		w.c.log.Info("goes on", "run", folder, "step", last.Step, "of", w.steps)
	} else {
		w.c.log.Info("begins", "run", folder, "steps", w.steps)
	}
	if f := w.forecast; f != nil {
		w.c.log.Info("predicted", "step", shortTime(f.Step), "all", longTime(f.Total))
	}
}

func (w *training) step(e learn.Event) {
	w.last = e
	if !e.Log {
		return
	}
	args := []any{"step", fmt.Sprintf("%d/%d", e.Step, w.steps), "loss", fmt.Sprintf("%.5g", e.Loss)}
	if e.Eval != nil {
		w.eval = e.Eval
		args = append(args, "eval_loss", fmt.Sprintf("%.5g", *e.Eval), "eval_time", e.EvalTime.Round(time.Millisecond))
	}
	for _, name := range slices.Sorted(maps.Keys(e.More)) {
		if strings.HasPrefix(name, "lr/") || strings.HasPrefix(name, "grad_norm/") || strings.Count(name, "/") > 1 {
			continue // in the metrics
		}
		args = append(args, name, fmt.Sprintf("%.5g", e.More[name]))
	}
	args = append(args, "grad_norm", fmt.Sprintf("%.3f", e.GradNorm), "lr", fmt.Sprintf("%.3g", e.Rate),
		e.Unit+"_per_second", math.Round(e.Speed), "eta", w.left(e).Round(time.Second))
	w.c.log.Info("trained", args...)
}

// end says where the results are.
func (w *training) end(doc *schema.Document) error {
	if w.json {
		out := map[string]any{"document": doc.File, "name": doc.Name, "hash": doc.Hash, "run": w.folder,
			"steps": w.last.Step, w.last.Unit: w.last.Tokens, "seconds": w.last.Elapsed.Seconds()}
		for _, name := range []string{"model", "adapter"} { // either may not be
			if info, err := os.Stat(filepath.Join(w.folder, name)); err == nil && info.IsDir() {
				out[name] = w.folder + "/" + name
			}
		}
		more := map[string]float64{"loss": w.last.Loss}
		maps.Copy(more, w.last.More)
		for name, x := range more {
			if !math.IsNaN(x) && !math.IsInf(x, 0) { // as it may be where the last step was skipped
				out[name] = x
			}
		}
		if w.eval != nil {
			out["eval_loss"] = *w.eval
		}
		return w.c.writeJSON(out)
	}
	_, err := fmt.Fprintln(w.c.out, w.folder)
	return err
}
