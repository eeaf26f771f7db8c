package train

import "math"

// PolynomialAttr describes a power of what is left.
type PolynomialAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	Power       float64 `cue:"power: number & >0 | *1" doc:"1 is a straight line; more falls faster at first"`
	MinRatio    float64 `cue:"min_ratio: number & >=0 & <=1 | *0" doc:"where the rate ends, as a share of the base rate"`
}

func polynomial() *Schedule {
	return &Schedule{
		Def: Def{Name: "polynomial", Title: "Polynomial", Attr: PolynomialAttr{},
			Doc:    "a power of the part of the run that is left, from the base rate down to min_ratio of it.",
			Source: "get_polynomial_decay_schedule_with_warmup of transformers"},
		factor: func(a any, step, steps int) float64 {
			at := a.(PolynomialAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return above(at.MinRatio, math.Pow(max(0, 1-progress(at.WarmupSteps, step, steps)), at.Power))
		},
	}
}
