package train

// LinearAttr describes a straight line.
type LinearAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	MinRatio    float64 `cue:"min_ratio: number & >=0 & <=1 | *0" doc:"where the rate ends, as a share of the base rate"`
}

func linear() *Schedule {
	return &Schedule{
		Def: Def{Name: "linear", Title: "Linear", Attr: LinearAttr{},
			Doc:    "a straight line from the base rate down to min_ratio of it.",
			Source: "get_linear_schedule_with_warmup of transformers"},
		factor: func(a any, step, steps int) float64 {
			at := a.(LinearAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return above(at.MinRatio, max(0, 1-progress(at.WarmupSteps, step, steps)))
		},
	}
}
