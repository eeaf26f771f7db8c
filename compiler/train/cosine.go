package train

// CosineAttr describes half a wave.
type CosineAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	MinRatio    float64 `cue:"min_ratio: number & >=0 & <=1 | *0.1" doc:"where the rate ends, as a share of the base rate"`
}

func cosine() *Schedule {
	return &Schedule{
		Def: Def{Name: "cosine", Title: "Cosine", Attr: CosineAttr{},
			Doc:    "half a cosine wave from the base rate down to min_ratio of it.",
			Source: "get_cosine_with_min_lr_schedule_with_warmup of transformers; arXiv:1608.03983"},
		factor: func(a any, step, steps int) float64 {
			at := a.(CosineAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return above(at.MinRatio, halfCosine(min(1, progress(at.WarmupSteps, step, steps))))
		},
	}
}
