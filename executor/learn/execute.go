package learn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/journal"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// Hear is told what happens in a run.
type Hear struct {
	Begin func(folder string, last Event) // where the run is written, and the step that it goes on after; 0 if it is new
	Step  func(Event)                     // after each step
	Saved func(folder string)             // after each checkpoint
}

// Execute trains: a new run, or one that was interrupted from its last
// checkpoint on. It writes the run folder, and at the end the model as a folder
// that any program reads. When ctx ends, it saves before it returns the
// context's error.
func (r *Run) Execute(ctx context.Context, hear Hear) (err error) {
	run, found, err := r.openRun()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := r.computeAll(ctx); err != nil {
		return err
	}
	t, err := r.trainer(found)
	if err != nil {
		return err
	}
	t.cfg.Distribution = r.distribution(run)
	defer func() { t.train.Close(); err = errors.Join(err, t.Close()) }()
	last, err := lastEvent(run.Folder, t)
	if err != nil {
		return err
	}
	hear.Begin(run.Folder, last)
	save := func() error {
		if err := run.Save(int64(t.Step()), r.Recipe.Save.Keep, func(w *journal.Writer) error { return t.Save(w.File) }); err != nil {
			return err
		}
		hear.Saved(filepath.Join(run.Folder, "checkpoints"))
		return nil
	}
	saved, skipped := t.Step(), t.skipped
	err = t.Run(ctx, func(e Event) error {
		if hear.Step(e); e.Skipped > skipped {
			r.opt.Warn(fmt.Errorf("%s: by step %d, %d batches had no token that is trained, and were skipped", r.dataName(), e.Step, e.Skipped))
			skipped = max(2*skipped, e.Skipped) // not every time
		}
		if e.Log {
			if err := run.Log(row(e, t.Bytes())); err != nil {
				return err
			}
		}
		if e.Eval != nil || e.Save {
			if err := run.Plot(); err != nil {
				return err
			}
		}
		if !e.Save {
			return nil
		}
		saved = e.Step
		return save()
	})
	var ended *EndedError
	if (errors.Is(err, context.Canceled) || errors.As(err, &ended)) && t.Step() > saved {
		return errors.Join(save(), err)
	}
	if err != nil {
		return err
	}
	if !r.onlyAdapters(t) {
		if err := r.export(t, filepath.Join(run.Folder, "model")); err != nil {
			return err
		}
	}
	if err := r.exportAdapters(t, filepath.Join(run.Folder, "adapter")); err != nil {
		return err
	}
	return run.Finish()
}

// row is what the journal keeps of a step.
func row(e Event, memory int64) journal.Row {
	values := map[string]float64{
		journal.Loss: e.Loss, journal.LearningRate: e.Rate, journal.GradNorm: e.GradNorm,
		e.Unit: float64(e.Tokens), e.Unit + "_per_second": e.Speed, journal.Memory: float64(memory),
	}
	maps.Copy(values, e.More)
	if e.Eval != nil {
		values[journal.EvalLoss], values["eval_seconds"] = *e.Eval, e.EvalTime.Seconds()
	}
	if e.Skipped > 0 {
		values["skipped_batches"] = float64(e.Skipped)
	}
	return journal.Row{Step: int64(e.Step), Values: values, Norms: e.Norms}
}

// distribution is what takes the distributions that the recipe wants.
func (r *Run) distribution(run *journal.Run) func(int, string, []float32) error {
	kind := r.Recipe.Steps.Histograms
	if kind == "none" {
		return nil
	}
	return func(step int, tag string, values []float32) error {
		if kind != "gradients" && !strings.HasPrefix(tag, "weights/") {
			return nil
		}
		return run.Histogram(int64(step), tag, values)
	}
}

// lastEvent is what the journal says of the step that a run goes on after. An
// evaluation that is there was not interrupted, or made up for later.
func lastEvent(folder string, t *Trainer) (Event, error) {
	e := Event{Step: t.Step(), Tokens: t.tokens, Unit: journal.Tokens}
	rows, err := journal.ReadMetrics(folder)
	if err != nil || t.Step() == 0 {
		return e, err
	}
	for _, r := range rows {
		if loss, ok := r.Values[journal.Loss]; ok {
			e.Loss = loss
		}
		if loss, ok := r.Values[journal.EvalLoss]; ok {
			e.Eval = &loss
		}
		if r.Step == int64(t.Step()) {
			t.pending = nil
		}
	}
	return e, nil
}

// openRun makes the run folder, or opens that of an interrupted run; found is
// the checkpoint to go on from.
func (r *Run) openRun() (*journal.Run, *journal.Checkpoint, error) {
	runs := journal.Runs{Root: r.opt.Root, Version: r.opt.Version, Steps: int64(r.Recipe.Steps.Steps)}
	if d, ok := r.opt.Backend.(kernels.Describer); ok {
		runs.Host = d.Facts()
	}
	files := map[string][]byte{}
	for _, p := range r.Plans() {
		files["plan-"+p.Name+".txt"] = []byte(p.String())
	}
	in, err := r.inputs()
	if err != nil {
		return nil, nil, err
	}
	return openRun(runs, r.doc, r.Recipe.Name, in, files, r.opt.Warn)
}

// openRun makes or opens the run folder of a document; files are what stands
// in it besides the document and the inputs.
func openRun(runs journal.Runs, doc *schema.Document, name string, in inputs, files map[string][]byte, warn func(error)) (*journal.Run, *journal.Checkpoint, error) {
	made, err := in.encode()
	if err != nil {
		return nil, nil, err
	}
	all := map[string][]byte{"resolved.cue": doc.Resolved(), inputsFile: made}
	maps.Copy(all, files)
	hash := doc.Hash[len("sha256:"):]
	run, err := runs.Create(name, hash, all)
	if !errors.Is(err, fs.ErrExist) {
		return run, nil, err
	}
	if run, err = runs.Open(name, hash); err != nil {
		return nil, nil, err
	}
	found, warnings, err := run.Latest()
	for _, w := range warnings {
		warn(errors.New(w))
	}
	if errors.Is(err, fs.ErrNotExist) {
		found, err = nil, nil
	}
	if was := run.About.Host; found != nil && was != nil && !maps.Equal(was, runs.Host) {
		warn(fmt.Errorf("%s: was begun with %s, and goes on with %s: bits may differ", run.Folder, factsText(was), factsText(runs.Host)))
	}
	if err == nil {
		err = in.hold(run, found != nil)
	}
	step := int64(-1)
	if found != nil {
		step = found.Step
	}
	if err == nil {
		err = run.Resume(step)
	}
	if err != nil {
		return nil, nil, errors.Join(err, run.Close())
	}
	return run, found, nil
}

// factsText is what a device says of itself, in one order.
func factsText(facts map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		list = append(list, name+" "+facts[name])
	}
	return strings.Join(list, ", ")
}

// trainer makes the trainer of a new run, or of a checkpoint.
func (r *Run) trainer(found *journal.Checkpoint) (*Trainer, error) {
	var from data.Position
	if found != nil {
		var err error
		if from, err = Stand(found.Path); err != nil {
			return nil, err
		}
	}
	loader, err := r.loader(from)
	if err != nil {
		return nil, err
	}
	c := Config{
		Steps: r.Recipe.Steps.Steps, Accumulate: r.Recipe.Steps.Accumulate, Parts: r.turns(), LogEvery: r.Recipe.Steps.LogEvery,
		EvalEvery: r.Recipe.Evaluate.Every, EvalParts: r.Recipe.Evaluate.Batches, SaveEvery: r.Recipe.Save.Every,
		Data: r.dataName(), Epoch: r.epoch,
	}
	var eval func() (Loader, error)
	if r.evalExamples != nil {
		eval, c.EvalData = r.evalLoader, r.evalExamples.Name()
	} else if r.eval != nil {
		eval, c.EvalData = r.evalLoader, r.eval.Name()
	}
	t, err := New(Devices{r.opt.Backend, r.opt.Host}, r.plans, c, loader, eval)
	if err != nil {
		loader.Close()
		return nil, err
	}
	if found != nil {
		if err = r.weights(t, t.fixed()); err == nil {
			err = t.Restore(found.Path)
		}
	} else {
		err = r.weights(t, t.states(ir.Weight))
	}
	if err == nil {
		err = t.Bind()
	}
	if err != nil {
		loader.Close()
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// turns says when the parts take theirs.
func (r *Run) turns() []Turn {
	var out []Turn
	for i := range r.Recipe.Parts {
		p := &r.Recipe.Parts[i]
		t := Turn{Name: p.Name, Every: p.Every, From: p.From}
		turns := t.count(r.Recipe.Steps.Steps)
		t.Rate = func(turn int) float64 { return p.LearningRate(turn, turns) }
		out = append(out, t)
	}
	return out
}

// file writes a file of a folder, whole or not at all.
type file = func(name string, fill func(io.Writer) error) error
