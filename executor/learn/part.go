package learn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/internal/suggest"
	"pipe.dev/schema"
)

// PartAttr describes a part of a training step: losses, and an optimizer that
// makes them small by the weights that it may change. Parts take turns on the
// same batch, in the order of the document.
type PartAttr struct {
	Name   string   `cue:"name!: =~\"^[a-z][a-z0-9_]*$\"" doc:"what metrics and plans call it"`
	Update []string `cue:"update: [string, ...string] | *[\"*\"]" doc:"patterns of the paths of the weights that it changes"`
	Every  int      `cue:"every: int & >0 | *1" doc:"it takes its turn every so many steps"`
	From   int      `cue:"from: int & >=0 | *0" doc:"steps that are made before its first turn"`
}

// Part is a decoded part. A recipe without phases has one, of no name.
type Part struct {
	PartAttr
	Losses        []train.Term
	Optimizer     *train.Optimizer
	OptimizerAttr any
	Schedule      *train.Schedule
	ScheduleAttr  any
	Rate          float64 // base learning rate
}

// LearningRate is the rate of the part's n-th turn of all, from 1.
func (p *Part) LearningRate(turn, turns int) float64 {
	return p.Rate * p.Schedule.At(p.ScheduleAttr, turn-1, turns)
}

// updates reports whether the part may change the weight at path.
func (p *Part) updates(path string) bool {
	return slices.ContainsFunc(p.Update, func(pattern string) bool { return train.Match(pattern, path) })
}

// parts decodes the parts of a recipe: its phases, or one of its objective.
func (d *decoder) parts() []Part {
	whole := Part{PartAttr: PartAttr{Update: []string{"*"}, Every: 1}}
	d.optimizer(&whole, "", d.fields)
	list, _ := d.fields["phases"].([]any)
	if len(list) == 0 {
		only := d.term("objective", d.object("objective"))
		only.Name = "" // one loss is the loss
		whole.Losses = []train.Term{only}
		d.begins("", whole)
		return []Part{whole}
	}
	var out []Part
	for i, x := range list {
		path := fmt.Sprintf("phases.%d", i)
		fields, _ := x.(map[string]any)
		p := whole
		p.PartAttr = part[PartAttr](&decoder{fields: map[string]any{"": fields}}, "")
		if slices.ContainsFunc(out, func(q Part) bool { return q.Name == p.Name }) {
			d.fail(path+".name", fmt.Errorf("is %q, as is that of another phase", p.Name))
		}
		d.optimizer(&p, path+".", fields)
		losses, _ := fields["losses"].([]any)
		for j, l := range losses {
			m, _ := l.(map[string]any)
			p.Losses = append(p.Losses, d.term(fmt.Sprintf("%s.losses.%d", path, j), m))
		}
		if d.err != nil {
			return nil
		}
		nameTerms(p.Losses)
		d.begins(path, p)
		out = append(out, p)
	}
	if d.err == nil && !slices.ContainsFunc(out, func(p Part) bool { return p.From == 0 }) {
		d.fail("phases.0.from", fmt.Errorf("is %d, and no phase has a turn in the first step", out[0].From))
	}
	return out
}

// begins reports a part of which no loss counts from its first turn on.
func (d *decoder) begins(path string, p Part) {
	for _, t := range p.Losses {
		if t.Weight != 0 && t.From <= p.From && t.Adaptive == "" {
			return
		}
	}
	d.fail(strings.TrimPrefix(path+".losses", "."), fmt.Errorf("none counts from the first turn on: one wants a weight, no from and no adaptive"))
}

// measured reports a measure that no objective of the recipe offers.
func (r *Recipe) measured(measures []string) error {
	for _, m := range measures {
		var known []string
		for _, p := range r.Parts {
			for _, t := range p.Losses {
				for _, x := range t.Objective.Measures {
					known = append(known, x.Name)
				}
			}
		}
		if !slices.Contains(known, m) {
			slices.Sort(known)
			return fmt.Errorf("no objective offers %q; there is %v", m, slices.Compact(known))
		}
	}
	return nil
}

// nameTerms gives every loss of a part its label, or the name of its objective,
// with a number where several have the same.
func nameTerms(list []train.Term) {
	seen := map[string]int{}
	for i := range list {
		name := list[i].Name
		if name == "" {
			name = list[i].Objective.Name
		}
		seen[name]++
		if seen[name] > 1 {
			name = fmt.Sprintf("%s_%d", name, seen[name])
		}
		list[i].Name = name
	}
}

// optimizer takes the optimizer and the schedule that fields give; those of the
// recipe stay where they give none. in is the path before their names.
func (d *decoder) optimizer(p *Part, in string, fields map[string]any) {
	optimizers, err := train.Optimizers()
	d.fail("", err)
	schedules, err := train.Schedules()
	d.fail("", err)
	if d.err != nil {
		return
	}
	if m, ok := fields["optimizer"].(map[string]any); ok {
		p.Optimizer, p.OptimizerAttr = choose(d, optimizers, in+"optimizer", m)
		p.Rate = part[struct {
			LR float64 `cue:"lr: number" doc:"learning rate"`
		}](&decoder{fields: fields}, "optimizer").LR
	}
	if m, ok := fields["schedule"].(map[string]any); ok {
		p.Schedule, p.ScheduleAttr = choose(d, schedules, in+"schedule", m)
	}
}

// lossAttr is what an objective of a recipe says besides its own attributes.
type lossAttr struct {
	Y        string  `cue:"y: string | *\"\"" doc:"token of the value that is judged"`
	Label    string  `cue:"label: string | *\"\"" doc:"what metrics call it"`
	Weight   float64 `cue:"weight: number | *1" doc:"factor of the mean"`
	From     int     `cue:"from: int & >=0 | *0" doc:"steps that are made without it"`
	Ramp     int     `cue:"ramp: int & >=0 | *0" doc:"steps in which its weight grows"`
	Adaptive string  `cue:"adaptive: string | *\"\"" doc:"path of a weight at whose gradients its weight is measured"`
}

// term decodes the loss at a path.
func (d *decoder) term(path string, fields map[string]any) train.Term {
	objectives, err := train.Objectives()
	d.fail("", err)
	if d.err != nil {
		return train.Term{}
	}
	more := part[lossAttr](&decoder{fields: map[string]any{"": fields}}, "")
	t := train.Term{Name: more.Label, Y: more.Y, Weight: more.Weight, From: more.From, Ramp: more.Ramp, Adaptive: more.Adaptive,
		In: map[string]train.Source{}, Pos: d.place(path)}
	t.Objective, t.Attr = choose(d, objectives, path, fields)
	inputs, _ := fields["inputs"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		switch x := inputs[name].(type) {
		case string:
			t.In[name] = train.Source{Token: x}
		default:
			value, err := number(x)
			d.fail(path+".inputs."+name, err)
			t.In[name] = train.Source{Value: value}
		}
	}
	offered := func(list []string) (out []string) {
		for _, m := range list {
			if slices.ContainsFunc(t.Objective.Measures, func(x train.Measure) bool { return x.Name == m }) {
				out = append(out, m)
			}
		}
		return out
	}
	t.Measures, t.StepMeasures = offered(d.measures), offered(d.stepMeasures)
	return t
}

// number reads a number of a document.
func number(x any) (float64, error) {
	n, ok := x.(interface{ Float64() (float64, error) })
	if !ok {
		return 0, fmt.Errorf("%v is no number", x)
	}
	return n.Float64()
}

// ofText gives the losses of a recipe on text what they need of its batches:
// the tokens that follow, and which of them count.
func (r *Recipe) ofText() {
	if r.Balance != nil {
		r.Balance.Weights = "weights"
	}
	for i := range r.Parts {
		for _, t := range r.Parts[i].Losses {
			for _, in := range t.Objective.Inputs {
				_, given := t.In[in.Name]
				if !given && (in.Name == "targets" && in.DType == ir.I32 || in.Name == "weights") {
					t.In[in.Name] = train.Source{Batch: in.Name}
				}
			}
		}
	}
}

// complete reports a loss that lacks an input, or names one that there is not.
func (p *Part) complete() error {
	for _, t := range p.Losses {
		var names []string
		for _, in := range t.Objective.Inputs {
			names = append(names, in.Name)
			if _, ok := t.In[in.Name]; !ok && !in.Optional && in.Reference == nil {
				return &schema.Error{Pos: t.Pos, Msg: fmt.Sprintf("%s lacks %s, %s", t.Objective.Name, in.Name, in.Doc),
					Hint: fmt.Sprintf("give inputs: %s, a token of the model or a number", in.Name)}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(t.In)) {
			if !slices.Contains(names, name) {
				return &schema.Error{Pos: t.Pos, Msg: fmt.Sprintf("%s has no input %q; it has %s", t.Objective.Name, name, strings.Join(names, ", ")),
					Hint: suggest.DidYouMean(name, names)}
			}
		}
	}
	return nil
}
