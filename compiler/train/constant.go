package train

// ConstantAttr describes a rate that stays.
type ConstantAttr struct {
	WarmupSteps int `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises from 0 to the base rate"`
}

func constant() *Schedule {
	return &Schedule{
		Def: Def{Name: "constant", Title: "Constant", Attr: ConstantAttr{},
			Doc:    "the base rate after the warm-up.",
			Source: "get_constant_schedule_with_warmup of transformers"},
		factor: func(a any, step, steps int) float64 {
			at := a.(ConstantAttr)
			if f, rising := rise(at.WarmupSteps, step); rising {
				return f
			}
			return 1
		},
	}
}
