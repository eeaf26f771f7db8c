package train

import "math"

// InverseSqrtAttr describes a rate that never reaches 0.
type InverseSqrtAttr struct {
	WarmupSteps int `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	Timescale   int `cue:"timescale: int & >=0 | *0" doc:"updates after which the rate would have fallen to 1/sqrt(2); 0 means as many as the warm-up, or 10000 without one"`
}

func inverseSqrt() *Schedule {
	return &Schedule{
		Def: Def{Name: "inverse_sqrt", Title: "InverseSqrt", Attr: InverseSqrtAttr{},
			Doc:    "sqrt(timescale / (timescale + updates since the warm-up)).",
			Source: "get_inverse_sqrt_schedule of transformers; arXiv:1706.03762"},
		factor: func(a any, step, steps int) float64 {
			at := a.(InverseSqrtAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			scale := at.Timescale
			if scale == 0 {
				scale = at.WarmupSteps
			}
			if scale == 0 {
				scale = 10000
			}
			return 1 / math.Sqrt(float64(step-at.WarmupSteps+scale)/float64(scale))
		},
	}
}
