package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/executor"
	"pipe.dev/executor/model"
	"pipe.dev/executor/pace"
	"pipe.dev/kernels/bench"
	"pipe.dev/schema"
)

// benchFlags are the flags of pipe bench.
type benchFlags struct {
	engineFlags
	prompts []int
	tokens  int
	past    int
	repeat  int
	root    string
	asJSON  bool
}

// tryTime is how long steps, and batches of an evaluation, are repeated at
// least where they are quick.
const tryTime = 2 * time.Second

func benchCommand(c *console) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench FILE.cue",
		Short: "measure how fast a document runs, or the kernels of a device",
		Long: `Measure how fast a document runs, with the real weights of its model.

Of a pipeline that makes text: prompts of several lengths and tokens after one of them, in tokens a second; the time to
the first token, from opening the files (cold; the system may have them in memory) and of a loaded model (warm). Of
another pipeline: calls of its models, with made-up inputs of the sizes that it has, and how the time falls to ops. Of a
recipe: the time of a step, how it falls to ops, and the time of a batch of an evaluation; no run folder is written, and what was learned is
forgotten. Of all: memory as predicted, and as the process has it in use.

Everything is repeated; the spread is the distance of the quartiles as a part of the median.`,
		Example: "  pipe bench pipelines/complete.cue --set model=models/tiny-llama\n  pipe bench recipes/tiny-llama.cue --json\n  pipe bench kernels softmax matmul",
		Args:    arguments("FILE.cue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			doc, err := schema.Load(args[0], schema.Options{Set: f.set})
			if err != nil {
				return documentError(err)
			}
			if doc.Tokenizer != nil {
				return &schema.Error{Pos: doc.Tokenizer.Pos, Msg: "is a recipe of a tokenizer: pipe bench measures pipelines, and recipes of models"}
			}
			if doc.Recipe == nil && doc.Pipeline == nil {
				return &schema.Error{Pos: doc.Models[0].Pos, Msg: "is an architecture: pipe bench measures pipelines, and recipes of models"}
			}
			if doc.Recipe == nil && cmd.Flags().Changed("runs") || doc.Pipeline == nil && (cmd.Flags().Changed("prompt") || cmd.Flags().Changed("tokens") || cmd.Flags().Changed("past")) {
				return usagef(cmd, "--prompt, --tokens and --past are of pipelines, and --runs of recipes")
			}
			e, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer e.close()
			if doc.Recipe != nil {
				return f.recipe(cmd, c, e, doc)
			}
			return f.pipeline(cmd, c, e, doc)
		},
	}
	f.add(cmd)
	cmd.Flags().IntSliceVar(&f.prompts, "prompt", nil, "lengths of prompts in tokens; by default 32, 128 and 512, as far as the context has room")
	cmd.Flags().IntVar(&f.tokens, "tokens", 64, "tokens to make after a prompt, at most what the context has room for")
	cmd.Flags().IntVar(&f.past, "past", 0, "tokens of the prompt before --tokens; by default the longest of --prompt that leaves room")
	cmd.Flags().IntVar(&f.repeat, "repeat", 5, "how often everything is measured, at least")
	cmd.Flags().StringVar(&f.root, "runs", "runs", "folder of the runs of recipes, where encoded data are kept")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.ValidArgsFunction = completeExtension("cue")
	cmd.AddCommand(benchKernelsCommand(c))
	return cmd
}

func (f *benchFlags) check(cmd *cobra.Command) error {
	for _, n := range f.prompts {
		if n < 1 {
			return usagef(cmd, "--prompt is %d, want 1 token at least", n)
		}
	}
	if f.tokens < 1 {
		return usagef(cmd, "--tokens is %d, want 1 at least", f.tokens)
	}
	if f.past < 0 {
		return usagef(cmd, "--past is %d, want 0 or more", f.past)
	}
	if f.repeat < 1 {
		return usagef(cmd, "--repeat is %d, want 1 at least", f.repeat)
	}
	return nil
}

// pipeline measures the models of a pipeline that make text.
func (f *benchFlags) pipeline(cmd *cobra.Command, c *console, e *engine, doc *schema.Document) error {
	p, err := e.prepare(doc, executor.Options{})
	if err != nil {
		return err
	}
	err = model.Fit(p.Models(), e.limit)
	report := benchReport{Document: doc.File, Name: doc.Name, Hash: doc.Hash, Device: e.backend.Name()}
	var text []int
	batch, planned := false, false
	for i, m := range p.Models() {
		planned = planned || len(m.Plans()) > 0
		report.Memory.Predicted += m.PeakBytes()
		if m.MakesText() {
			text = append(text, i)
		}
		batch = batch || m.BatchOf() != nil
	}
	if e := p.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	settle()
	if batch {
		return &schema.Error{Pos: doc.Pipeline.Pos, Msg: "continues several texts at once, and pipe bench measures one: give one prompt; pipe plan says how long a token of several takes"}
	}
	if len(text) == 0 {
		if !planned {
			return &schema.Error{Pos: doc.Pipeline.Pos, Msg: "calls no model, or one whose inputs have sizes that are not known before the run, so there is nothing for pipe bench to measure"}
		}
		return report.end(c, f.asJSON, f.calls(cmd.Context(), c, e, doc, &report))
	}
	bar := newProgress(c)
	defer bar.stop()
	for _, i := range text {
		var t *pace.Text
		t, err = pace.Measure(cmd.Context(), pace.Options{
			Prompts: f.prompts, Tokens: f.tokens, Past: f.past, Repeat: f.repeat,
			Open: func(ctx context.Context) (*model.Model, func() error, error) { return openPipeline(ctx, e, doc, i) },
			Progress: func(what string, done, total int) {
				bar.count(what, int64(done), int64(total))
				report.Memory.see()
			},
		})
		if t != nil {
			report.Models = append(report.Models, textBench("models."+doc.Pipeline.Models[i].Name, t))
		}
		if err != nil {
			break
		}
	}
	bar.stop()
	return report.end(c, f.asJSON, err)
}

// openPipeline opens a pipeline anew and loads its models.
func openPipeline(ctx context.Context, e *engine, doc *schema.Document, i int) (*model.Model, func() error, error) {
	p, err := e.prepare(doc, executor.Options{})
	if err != nil {
		return nil, nil, err
	}
	settle() // as pipe run does
	for _, m := range p.Models() {
		if len(m.Plans()) == 0 {
			continue
		}
		if err := m.Load(ctx); err != nil {
			p.Close()
			return nil, nil, err
		}
	}
	return p.Models()[i], p.Close, nil
}

// recipe measures steps and evaluations of a recipe.
func (f *benchFlags) recipe(cmd *cobra.Command, c *console, e *engine, doc *schema.Document) error {
	r, doc, chosen, err := e.fittedRecipe(doc, e.trainOptions(c, f.root, nil), func(more []string) (*schema.Document, error) {
		return schema.Load(doc.File, schema.Options{Set: slices.Concat(f.set, more)})
	})
	if r != nil {
		defer r.Close()
	}
	if err != nil {
		return err
	}
	sayChosen(c, chosen)
	report := benchReport{Document: doc.File, Name: doc.Name, Hash: doc.Hash, Device: e.backend.Name()}
	report.Memory.Predicted = r.PeakBytes()
	bar := newProgress(c)
	defer bar.stop()
	t, err := r.Try(cmd.Context(), f.repeat, tryTime, func(what string, done int) {
		bar.count(what, int64(done%f.repeat), int64(f.repeat))
		report.Memory.see()
	})
	bar.stop()
	if t != nil {
		report.Training = trainBench(t)
		report.Memory.Allocated = t.Bytes
	}
	return report.end(c, f.asJSON, err)
}

// memoryUse is in bytes; 0 if it is not known.
type memoryUse struct {
	Predicted int64 `json:"predicted_bytes"`           // what the run allocates or maps
	Allocated int64 `json:"allocated_bytes,omitempty"` // what it did
	Resident  int64 `json:"resident_bytes,omitempty"`  // of the whole process, while it was measured last
	Most      int64 `json:"resident_peak_bytes,omitempty"`
}

func (m *memoryUse) see() { m.Resident, m.Most = residentMemory(os.DirFS("/")) }

func (m *memoryUse) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "memory predicted %s", model.Size(m.Predicted))
	if m.Allocated > 0 {
		fmt.Fprintf(&b, ", allocated %s", model.Size(m.Allocated))
	}
	if m.Resident > 0 {
		fmt.Fprintf(&b, ", resident %s, at most %s", model.Size(m.Resident), model.Size(m.Most))
	}
	return b.String() + "\n"
}

// timing is a Summary of seconds.
type timing struct {
	Median float64 `json:"seconds"`
	Least  float64 `json:"seconds_min"`
	Spread float64 `json:"spread"`
	Runs   int     `json:"runs"`
}

func timingOf(s bench.Summary) timing { return timing{s.Median, s.Least, s.Spread, s.Runs} }
