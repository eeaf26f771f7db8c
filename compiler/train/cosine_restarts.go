package train

import "math"

// CosineRestartsAttr describes waves that start again.
type CosineRestartsAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	Cycles      int     `cue:"cycles: int & >0 | *2" doc:"how many waves"`
	MinRatio    float64 `cue:"min_ratio: number & >=0 & <=1 | *0" doc:"where the rate ends, as a share of the base rate"`
}

func cosineRestarts() *Schedule {
	return &Schedule{
		Def: Def{Name: "cosine_restarts", Title: "CosineRestarts", Attr: CosineRestartsAttr{},
			Doc:    "half cosine waves, each from the base rate down to min_ratio of it.",
			Source: "get_cosine_with_hard_restarts_schedule_with_warmup of transformers; arXiv:1608.03983"},
		factor: func(a any, step, steps int) float64 {
			at := a.(CosineRestartsAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			p := progress(at.WarmupSteps, step, steps)
			if p >= 1 {
				return at.MinRatio
			}
			return above(at.MinRatio, halfCosine(math.Mod(float64(at.Cycles)*p, 1)))
		},
	}
}
