package train

import "math"

// ExponentialAttr describes a constant factor from update to update.
type ExponentialAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	Gamma       float64 `cue:"gamma!: number & >0 & <=1" doc:"factor of the rate from one update to the next"`
}

func exponential() *Schedule {
	return &Schedule{
		Def: Def{Name: "exponential", Title: "Exponential", Attr: ExponentialAttr{},
			Doc:    "gamma to the power of the updates since the warm-up.",
			Source: "torch.optim.lr_scheduler.ExponentialLR"},
		factor: func(a any, step, steps int) float64 {
			at := a.(ExponentialAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return math.Pow(at.Gamma, float64(step-at.WarmupSteps))
		},
	}
}
