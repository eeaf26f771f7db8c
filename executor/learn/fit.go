package learn

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/session"
)

// Program makes the plans of one phase.
type Program interface {
	model.Program
	// PlanWithin makes the plan that computes least anew with a work arena of at
	// most the given bytes, or the one with the smallest there is.
	PlanWithin(sizes map[string]int, work int64) (*plan.Plan, error)
}

// phasePlan is the plan of a phase for one length of rows, with what made it.
type phasePlan struct {
	program Program
	sizes   map[string]int
	plan    *plan.Plan
	replace func(*plan.Plan)
	host    bool // it runs there
}

// remat lets plans compute values anew as the recipe says.
func (r *Run) remat() error {
	switch r.Recipe.Steps.Remat {
	case "auto":
		return r.fitPlans()
	case "block":
		if !slices.ContainsFunc(r.phases, func(x phasePlan) bool { return len(x.plan.Again.Blocks) > 0 }) {
			return r.mistake("train.remat", `is "block", and the model has no op.#Repeat that is trained`)
		}
	}
	return nil
}

// fitPlans replaces plans that do not fit by plans that compute as little anew
// as makes them fit.
func (r *Run) fitPlans() error {
	plans, err := r.within(r.opt.Memory)
	if err != nil {
		return err
	}
	for i, x := range r.phases {
		plans[i].Name = x.plan.Name
		x.replace(plans[i])
	}
	return nil
}

// within gives a plan for each of phases, which compute as little anew as
// makes the run fit into the given bytes, or use as little memory as they can.
func (r *Run) within(limit int64) ([]*plan.Plan, error) {
	var list []*plan.Plan
	room := limit - r.StateBytes() - r.aheadBytes()
	for _, x := range r.phases {
		p := x.plan
		if p.WorkBytes > room && !x.host {
			var err error
			if p, err = x.program.PlanWithin(x.sizes, room); err != nil {
				return nil, err
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// PeakBytes is what training will allocate on the device: all states, one work arena, and room for the
// inputs of a batch that is copied beside what is computed.
func (r *Run) PeakBytes() int64 { return r.StateBytes() + r.WorkBytes() + r.aheadBytes() }

func (r *Run) aheadBytes() int64 { return session.AheadBytes(r.opt.Backend, r.plans.on(false)) }

// StateBytes is the memory of weights, moments and sums of gradients.
func (r *Run) StateBytes() int64 {
	return session.StateBytes(r.opt.Backend, session.Largest(r.plans.on(false)))
}

// WorkBytes is the size of the work arena.
func (r *Run) WorkBytes() int64 { return session.WorkBytes(r.plans.on(false)) }

// HostBytes is what an optimizer will allocate that stays on the host: weights in f32, what it keeps of them, the sums of
// gradients that it reads, and its work arena. It is 0 where there is none.
func (r *Run) HostBytes() int64 {
	host := r.plans.on(true)
	if len(host) == 0 {
		return 0
	}
	return session.StateBytes(r.opt.Host, session.Largest(host)) + session.WorkBytes(host)
}

// CrossingBytes is what is copied between host and device in a step of all parts: sums of gradients to the host, what
// has changed to the device, but for what evaluations alone read.
func (r *Run) CrossingBytes() (toHost, toDevice int64) {
	steps := slices.Clone(r.plans)
	for i := range steps {
		steps[i].Evaluate = nil
	}
	for _, s := range sharedStates(steps) {
		if s.sum {
			toHost += s.bytes
		} else {
			toDevice += s.bytes
		}
	}
	return toHost, toDevice
}

// Fit returns a *model.FitError if training needs more than limit bytes.
func (r *Run) Fit(limit int64) error {
	for _, c := range r.computed {
		if need := c.weights + c.work; need > limit {
			return &model.FitError{Name: c.member.Path(), Weights: c.weights, Work: c.work, Need: need, Limit: limit, Advice: "smaller pictures would need less"}
		}
	}
	beyond, err := session.Rehearse(r.opt.Backend, r.plans.on(false))
	if err != nil {
		return err
	}
	limit -= beyond
	if need := r.PeakBytes(); need > limit {
		return &model.FitError{Name: r.Recipe.Name, Weights: r.StateBytes(), Work: r.WorkBytes(), Need: need, Limit: limit,
			Advice: r.advice(limit) + fmt.Sprintf("; --mem %s is enough", model.Size(need))}
	}
	if need := r.HostBytes(); r.opt.HostMemory > 0 && need > r.opt.HostMemory {
		host := r.plans.on(true)
		return &model.FitError{Name: r.Recipe.Name, Weights: need - session.WorkBytes(host), Need: need, Limit: r.opt.HostMemory, Host: true,
			Advice: "an optimizer that keeps less would need less"}
	}
	return nil
}

// advice says what would need less memory than the recipe does.
func (r *Run) advice(limit int64) string {
	if plans, err := r.within(limit); r.Recipe.Steps.Remat == "none" && err == nil {
		var device []*plan.Plan
		for i, p := range plans {
			if !r.phases[i].host {
				device = append(device, p)
			}
		}
		if r.StateBytes()+session.WorkBytes(device)+r.aheadBytes() <= limit {
			return "it would fit with --set train.remat=auto, or with a smaller batch and accumulate"
		}
	}
	for _, remat := range []string{r.Recipe.Steps.Remat, "auto"} {
		if r.fitsApart(remat, limit) {
			if remat != r.Recipe.Steps.Remat {
				return "it would fit with an optimizer on the host and layers that are computed anew (--set train.offload=optimizer --set train.remat=auto)"
			}
			return "it would fit with an optimizer on the host (--set train.offload=optimizer)"
		}
	}
	return "a smaller batch with accumulate would need less"
}

// fitsApart reports whether the run would fit if its optimizer stayed on the host.
func (r *Run) fitsApart(remat string, limit int64) bool {
	if r.opt.Host == nil || r.apart() {
		return false
	}
	recipe, other := *r.Recipe, *r
	recipe.Steps.Offload, recipe.Steps.Remat, recipe.wide = "optimizer", remat, nil
	other.Recipe, other.opt.Memory, other.plans, other.phases = &recipe, limit, nil, nil
	return other.compile(r.holdsOut()) == nil && other.PeakBytes() <= limit && (r.opt.HostMemory == 0 || other.HostBytes() <= r.opt.HostMemory)
}
