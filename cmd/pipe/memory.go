package main

import (
	"errors"

	"pipe.dev/executor"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

// fitted prepares a pipeline so that it fits into memory. Where that changes results, as tiles
// do, what was chosen becomes part of the document, which reload gives with more settings: so a
// picture is repeated as it was made, whatever memory there is then. Where nothing
// fits, the pipeline is returned with the error.
func (e *engine) fitted(doc *schema.Document, o executor.Options, reload func(set []string) (*schema.Document, error)) (*executor.Pipeline, *schema.Document, error) {
	p, err := e.prepare(doc, o)
	if err != nil {
		return nil, nil, err
	}
	err = p.Fit(e.limit)
	set := p.Settings()
	if err != nil || len(set) == 0 {
		return p, doc, err
	}
	tiled := p.Chosen()
	if err := p.Close(); err != nil {
		return nil, nil, err
	}
	if doc, err = reload(set); err != nil {
		return nil, nil, documentError(err)
	}
	if p, err = e.prepare(doc, o); err != nil {
		return nil, nil, err
	}
	err = p.Fit(e.limit)
	p.Choose(tiled)
	return p, doc, err
}

// optimizerChoice is made where a training fits if its optimizer stays on the host.
var optimizerChoice = executor.Choice{What: "the optimizer stays on the host", Set: "train.offload=optimizer",
	Cost: "weights change at the speed of the processor, and gradients cross to it in each step; results differ by rounding"}

// fittedRecipe is fitted for a recipe, whose optimizer may stay on the host if it says so. The error of Fit
// comes with the run, which is to be closed.
func (e *engine) fittedRecipe(doc *schema.Document, o learn.Options, reload func(set []string) (*schema.Document, error)) (*learn.Run, *schema.Document, []executor.Choice, error) {
	r, err := learn.Prepare(doc, o)
	if err != nil {
		return nil, nil, nil, err
	}
	err = r.Fit(e.limit)
	var fit *model.FitError
	if r.Recipe.Steps.Offload != "auto" || e.host == nil || err != nil && !errors.As(err, &fit) {
		return r, doc, nil, err
	}
	set, chosen := "train.offload=none", []executor.Choice(nil)
	if err != nil {
		set, chosen = optimizerChoice.Set, []executor.Choice{optimizerChoice}
	}
	r.Close()
	if doc, err = reload([]string{set}); err != nil {
		return nil, nil, nil, documentError(err)
	}
	if r, err = learn.Prepare(doc, o); err != nil {
		return nil, nil, nil, err
	}
	return r, doc, chosen, r.Fit(e.limit)
}

// choices says what was chosen so that a run fits, and what stages say of themselves.
func choices(c *console, p *executor.Pipeline) {
	sayChosen(c, p.Chosen())
	for _, note := range p.Notes() {
		c.log.Info(note)
	}
}

func sayChosen(c *console, list []executor.Choice) {
	for _, made := range list {
		c.log.Info("to fit into memory", "choice", made.What, "cost", made.Cost)
	}
}

// memoryJSON is a moment of a run, in bytes.
type memoryJSON struct {
	At      string   `json:"at"`
	Models  []string `json:"models"`
	Weights int64    `json:"weight_bytes"`
	Cache   int64    `json:"cache_bytes"`
	Work    int64    `json:"work_bytes"`
	Values  int64    `json:"value_bytes"`
	Own     int64    `json:"own_bytes"`
	Bytes   int64    `json:"bytes"`
}

func momentsJSON(list []executor.Moment) []memoryJSON {
	var out []memoryJSON
	for _, m := range list {
		out = append(out, memoryJSON{m.Name(), append([]string{}, m.Models...), m.Weights, m.Cache, m.Work, m.Values, m.Own, m.Bytes()})
	}
	return out
}
