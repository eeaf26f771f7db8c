package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
	"pipe.dev/kernels"
	"pipe.dev/schema"
)

// planFlags are the flags of pipe plan.
type planFlags struct {
	engineFlags
	resolved bool
	after    string
	sizes    []string
	root     string
	asJSON   bool
	time     bool
	from     *origin
}

func planCommand(c *console) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan FILE.cue",
		Short: "show what a document compiles to: steps, memory, cost",
		Long: `Show what a document compiles to: every step with its shapes, bytes and FLOPs, the peak memory, and the hash.
Only headers of checkpoints are read. FILE may be a PNG file that says which document made it, as pipe run takes it.

How long a run will take is measured, for a few seconds and with made-up numbers, where the run fits into memory.
With --time=false the text is stable, so that two plans can be compared with diff.`,
		Args: arguments("FILE.cue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if f.from, err = documentIn(args[0]); err != nil {
				return err
			}
			doc, err := f.load(nil)
			if err != nil {
				return err
			}
			if f.resolved {
				_, err := c.out.Write(doc.Resolved())
				return err
			}
			if doc.Tokenizer != nil {
				return planTokenizer(c, doc, f.asJSON)
			}
			if f.after != "" && !slices.Contains(compiler.Passes(), f.after) {
				return usagef(cmd, "--after: there is no pass %q%s; there are %s", f.after,
					didYouMean(f.after, compiler.Passes()), strings.Join(compiler.Passes(), ", "))
			}
			if len(f.sizes) > 0 && len(doc.Models) == 0 {
				return usagef(cmd, "--size is of architectures, and %s is none: --set sets its sizes", args[0])
			}
			e, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer e.close()
			return f.plan(cmd, c, e, doc)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.resolved, "resolved", false, "print the document with every default filled in instead")
	cmd.Flags().StringVar(&f.after, "after", "", "print the graphs after a pass instead: "+strings.Join(compiler.Passes(), ", "))
	cmd.Flags().StringArrayVar(&f.sizes, "size", nil, "of an architecture: a named size, NAME=NUMBER, may be repeated; 1 if not given")
	cmd.Flags().StringVar(&f.root, "runs", "runs", "folder of the runs of recipes, where encoded data are kept")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON: peak_bytes, flops, hash, steps")
	cmd.Flags().BoolVar(&f.time, "time", true, "predict the time of a run, by measuring for a few seconds")
	cmd.ValidArgsFunction = completeExtension("cue", "png")
	return cmd
}

func (f *planFlags) plan(cmd *cobra.Command, c *console, e *engine, doc *schema.Document) error {
	var graphs strings.Builder
	trace := func(pass string, g *ir.Graph) {
		if pass == f.after {
			fmt.Fprintf(&graphs, "%s\n", g)
		}
	}
	report := planReport{device: e.backend.Name(), Document: doc.File, Name: doc.Name, Hash: doc.Hash}
	defer func() { c.warn(report.fits) }() // after the plan was shown
	if doc.Recipe != nil {
		if err := f.recipe(cmd, c, e, doc, trace, &report); err != nil {
			return err
		}
	} else if doc.Pipeline != nil {
		if err := f.pipeline(cmd, c, e, doc, trace, &report); err != nil {
			return err
		}
	} else if err := f.architectures(cmd, e, doc, trace, &report); err != nil {
		return err
	}
	if err := cmd.Context().Err(); err != nil { // while time was measured
		return err
	}
	if b, ok := e.backend.(kernels.Rehearser); ok {
		report.beyond = b.Beyond()
	}
	switch {
	case f.after != "":
		_, err := fmt.Fprint(c.out, graphs.String())
		return err
	case f.asJSON:
		return c.writeJSON(report.json())
	}
	_, err := fmt.Fprint(c.out, report.text())
	return err
}

// load reads the document, or that of a picture, with more settings than the command line has.
func (f *planFlags) load(more []string) (*schema.Document, error) {
	return f.from.load(schema.Options{Set: slices.Concat(f.set, more)})
}

// recipe plans a training. Graphs are those of the document as it is, whether it fits or not.
func (f *planFlags) recipe(cmd *cobra.Command, c *console, e *engine, doc *schema.Document, trace func(string, *ir.Graph), report *planReport) error {
	if f.after != "" {
		r, err := learn.Prepare(doc, e.trainOptions(c, f.root, trace))
		if err == nil {
			r.Close()
		}
		return err
	}
	r, doc, chosen, fits := e.fittedRecipe(doc, e.trainOptions(c, f.root, nil), f.load)
	if r == nil {
		return fits
	}
	defer r.Close()
	report.fits = fits
	for _, p := range r.Plans() {
		report.plans = append(report.plans, modelPlan{"model", p})
	}
	report.Hash, report.chosen, report.peak, report.host = doc.Hash, chosen, r.PeakBytes(), r.HostBytes()
	if report.host > 0 {
		toHost, toDevice := r.CrossingBytes()
		report.notes = append(report.notes, fmt.Sprintf("the optimizer stays on the host: %d bytes (%s) of its memory; %s cross to it in a step, and %s back",
			report.host, model.Size(report.host), model.Size(toHost), model.Size(toDevice)))
	}
	if f.time && fits == nil {
		t, err := forecastRecipe(cmd.Context(), r, planBudget)
		report.addTime(c, t, err)
	}
	return nil
}

// pipeline plans a pipeline, so that it fits into memory if there is a way.
func (f *planFlags) pipeline(cmd *cobra.Command, c *console, e *engine, doc *schema.Document, trace func(string, *ir.Graph), r *planReport) error {
	p, doc, err := e.fitted(doc, executor.Options{Compile: e.compile(trace), Warn: c.warn}, f.load)
	if p == nil {
		return err
	}
	defer p.Close()
	defer c.warn(err) // after the plan was shown
	r.Hash, r.peak, r.memory, r.chosen = doc.Hash, p.PeakBytes(), p.Memory(), p.Chosen()
	r.notes = p.Notes()
	for _, m := range p.Models() {
		r.addModel(m)
		if !f.time || f.after != "" || err != nil {
			continue
		}
		t, err := forecastModel(cmd.Context(), m, planBudget/time.Duration(len(p.Models())))
		r.addTime(c, t, err)
	}
	return nil
}

// architectures plans the models of a document for sizes from the command line.
func (f *planFlags) architectures(cmd *cobra.Command, e *engine, doc *schema.Document, trace func(string, *ir.Graph), r *planReport) error {
	given := map[string]int{}
	for _, s := range f.sizes {
		name, number, _ := strings.Cut(s, "=")
		n, err := strconv.Atoi(number)
		if err != nil || n <= 0 {
			return usagef(cmd, "--size %s: want NAME=NUMBER", s)
		}
		given[name] = n
	}
	for _, m := range doc.Models {
		p, err := compiler.Compile(m, e.ops, compiler.Options{Entry: plan.Entry{Name: "forward"}, Target: e.backend, Trace: trace})
		if err != nil {
			return err
		}
		sizes := map[string]int{}
		names := compiler.Names(p.Graph())
		for _, name := range names {
			sizes[name] = max(1, given[name])
		}
		for name := range given {
			if !slices.Contains(names, name) {
				return usagef(cmd, "--size: %s has no size %q; it has %s", m.Name, name, strings.Join(names, ", "))
			}
		}
		made, err := p.Plan(sizes)
		if err != nil {
			return err
		}
		r.plans = append(r.plans, modelPlan{m.Name, made})
		r.peak += made.PeakBytes()
	}
	return nil
}

// modelPlan is a plan and the model that it is of.
type modelPlan struct {
	model string
	plan  *plan.Plan
}

// planReport is what pipe plan shows.
type planReport struct {
	Document, Name, Hash string
	device               string
	plans                []modelPlan
	peak, host           int64 // bytes of the device, and of what stays on the host of a training
	times                []*forecast
	memory               []executor.Moment
	chosen               []executor.Choice
	notes                []string
	layers               []modelLayers
	beyond               []kernels.Beyond
	fits                 error // why a training does not fit
}

func (r *planReport) addModel(m *model.Model) {
	for _, p := range m.Plans() {
		for _, part := range p.Each() {
			r.plans = append(r.plans, modelPlan{m.Name(), part})
		}
	}
	if _, _, cut := m.Layers(); cut {
		r.layers = append(r.layers, modelLayers{m.Name(), m.Placed()})
	}
}

// addTime adds a prediction; a plan is shown without, if there is none.
func (r *planReport) addTime(c *console, t *forecast, err error) {
	if err != nil {
		c.warn(fmt.Errorf("no prediction of time: %w", err))
	} else if t != nil {
		r.times = append(r.times, t)
	}
}

func (r *planReport) flops() int64 {
	var sum int64
	for _, p := range r.plans {
		sum += p.plan.FLOPs()
	}
	return sum
}

func (r *planReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "document %s\nhash %s\npeak %d bytes (%s)\n", r.Name, r.Hash, r.peak, model.Size(r.peak))
	for _, made := range r.chosen {
		fmt.Fprintf(&b, "chosen to fit: %s (%s)\n", made.What, made.Cost)
	}
	for _, note := range r.notes {
		b.WriteString(note + "\n")
	}
	if len(r.memory) > 0 {
		b.WriteString("\n" + executor.MemoryText(r.memory, model.Size))
	}
	b.WriteString(beyondText(r.beyond, r.device))
	for _, l := range r.layers {
		b.WriteString("\n" + l.text(r.device))
	}
	for _, t := range r.times {
		b.WriteString(t.text())
	}
	for _, p := range r.plans {
		fmt.Fprintf(&b, "\nmodel %s\n%s", p.model, p.plan)
	}
	return b.String()
}

// json gives totals first: flops counts each plan once; steps are those of
// all plans, each with the number of its plan.
func (r *planReport) json() any {
	type step struct {
		Plan int `json:"plan"`
		plan.StepJSON
	}
	type summary struct {
		Model string `json:"model"`
		plan.JSON
		Steps int `json:"steps"`
	}
	out := struct {
		Document string       `json:"document"`
		Name     string       `json:"name"`
		Hash     string       `json:"hash"`
		Peak     int64        `json:"peak_bytes"`
		Host     int64        `json:"host_bytes,omitempty"` // of a training whose optimizer stays there
		FLOPs    int64        `json:"flops"`
		Memory   []memoryJSON `json:"memory,omitempty"`
		Chosen   []string     `json:"chosen,omitempty"`
		Notes    []string     `json:"notes,omitempty"`
		Layers   []layerJSON  `json:"layers,omitempty"`
		Beyond   []beyondJSON `json:"beyond,omitempty"`
		Times    []*forecast  `json:"times,omitempty"`
		Plans    []summary    `json:"plans"`
		Steps    []step       `json:"steps"`
	}{r.Document, r.Name, r.Hash, r.peak, r.host, r.flops(), momentsJSON(r.memory), nil, r.notes, r.layersJSON(), r.beyondJSON(), r.times, []summary{}, []step{}}
	for _, made := range r.chosen {
		out.Chosen = append(out.Chosen, made.What)
	}
	for i, p := range r.plans {
		form := p.plan.JSON()
		out.Plans = append(out.Plans, summary{Model: p.model, JSON: form, Steps: len(form.Steps)})
		for _, s := range form.Steps {
			out.Steps = append(out.Steps, step{i, s})
		}
	}
	return out
}
