package train

import "math"

// StepAttr describes stairs.
type StepAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
	StepSize    int     `cue:"step_size!: int & >0" doc:"updates on one stair"`
	Gamma       float64 `cue:"gamma: number & >0 & <=1 | *0.1" doc:"factor of the rate from one stair to the next"`
}

func stepwise() *Schedule {
	return &Schedule{
		Def: Def{Name: "step", Title: "Step", Attr: StepAttr{},
			Doc:    "stairs: gamma to the power of how many times step_size updates have passed since the warm-up.",
			Source: "torch.optim.lr_scheduler.StepLR"},
		factor: func(a any, step, steps int) float64 {
			at := a.(StepAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return math.Pow(at.Gamma, float64((step-at.WarmupSteps)/at.StepSize))
		},
	}
}
