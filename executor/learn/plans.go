package learn

import (
	"cmp"
	"fmt"
	"strings"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/data"
)

// compile makes the plans of all parts.
func (r *Run) compile(evaluate bool) error {
	if err := r.openBases(); err != nil {
		return err
	}
	for {
		r.plans, r.phases = nil, nil
		for i := range r.Recipe.Parts {
			p := &r.Recipe.Parts[i]
			if err := p.complete(); err != nil {
				return err
			}
			made, err := r.partPlans(p, evaluate)
			if err != nil {
				return err
			}
			r.plans = append(r.plans, made)
		}
		if !r.widen() {
			return r.remat()
		}
	}
}

// partPlans makes the plans of one part, for every length of rows.
func (r *Run) partPlans(p *Part, evaluate bool) (made PartPlans, err error) {
	plans := func(phase string) (map[int]*plan.Plan, error) { return r.phasePlans(p, phase) }
	if r.Recipe.Accumulates() || r.apart() {
		made.Accumulate, err = plans("accumulate")
		if err != nil {
			return made, err
		}
		if r.apart() {
			if made.Begin, err = r.onePlan(p, "begin"); err != nil {
				return made, err
			}
		}
		if made.Update, err = r.onePlan(p, "update"); err != nil {
			return made, err
		}
	} else if made.Step, err = plans("step"); err != nil {
		return made, err
	}
	if evaluate {
		made.Evaluate, err = plans("evaluate")
	}
	return made, err
}

// apart reports whether weights change on the host.
func (r *Run) apart() bool { return r.opt.Host != nil && r.Recipe.Steps.Offload == "optimizer" }

// onePlan makes the plan of a phase that reads no batch.
func (r *Run) onePlan(p *Part, phase string) (*plan.Plan, error) {
	list, err := r.phasePlans(p, phase)
	return list[0], err
}

// phasePlans makes the plans of one phase: of text, for every length of rows, of
// examples, for every number of them.
func (r *Run) phasePlans(p *Part, phase string) (map[int]*plan.Plan, error) {
	batch := r.Recipe.Batch
	lengths := []int{batch.Seq}
	alone := phase == "update" || phase == "begin"
	switch {
	case alone:
		lengths = []int{0}
	case r.evalExamples != nil && phase == "evaluate":
		var err error
		if lengths, err = r.evalShapes(); err != nil {
			return nil, err
		}
	case r.Recipe.ofNumbers():
		lengths = r.trainShapes()
	case batch.Rows == "bucket":
		lengths = batch.Buckets
	}
	out := map[int]*plan.Plan{}
	var program Program
	for i, n := range lengths {
		sizes := map[string]int{"batch": batch.Batch, "seq": n}
		switch {
		case alone:
			sizes = map[string]int{} // nothing of a batch is left, once shapes are known
		case r.Recipe.ofNumbers():
			sizes = r.exampleSizes(n)
		}
		var err error
		if i == 0 || r.Recipe.ofNumbers() {
			if program, err = r.opt.Compile(r.model, r.Recipe, p, phase, cmp.Or(sizes["batch"], batch.Batch), r.held); err != nil {
				return nil, err
			}
		}
		if out[n], err = program.Plan(sizes); err != nil {
			return nil, err
		}
		out[n].Name = planName(p.Name, phase, r.sizeName(n), len(lengths) > 1)
		r.phases = append(r.phases, phasePlan{program, sizes, out[n], func(p *plan.Plan) { out[n] = p }, phase == "update" && r.apart()})
	}
	return out, nil
}

// planName is how a plan is called: "step", "generator.step", "step.128".
func planName(part, phase, size string, several bool) string {
	name := strings.TrimPrefix(part+"."+phase, ".")
	if several {
		name += "." + size
	}
	return name
}

// sizeName is what the plans of batches of a size are called by: the length of rows, the number of examples, or with it the size of
// pictures.
func (r *Run) sizeName(n int) string {
	if r.examples == nil || len(r.examples.Buckets()) == 0 {
		return fmt.Sprint(n)
	}
	s := data.ShapeOf(n)
	b := r.examples.Buckets()[s.Bucket]
	return fmt.Sprintf("%dx%dx%d", s.Rows, b.Width, b.Height)
}

// Plans are the plans of all phases.
func (r *Run) Plans() []*plan.Plan { return r.plans.all() }
