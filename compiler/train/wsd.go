package train

import "math"

// WSDAttr describes warm-up, a stable rate, and decay.
type WSDAttr struct {
	WarmupSteps int     `cue:"warmup_steps: int & >=0 | *0" doc:"updates over which the rate rises to the base rate"`
	DecaySteps  int     `cue:"decay_steps!: int & >0" doc:"updates at the end over which the rate falls"`
	WarmupType  string  `cue:"warmup_type: \"linear\" | \"cosine\" | \"1-sqrt\" | *\"linear\"" doc:"the shape of the rise"`
	DecayType   string  `cue:"decay_type: \"linear\" | \"cosine\" | \"1-sqrt\" | *\"cosine\"" doc:"the shape of the fall"`
	MinRatio    float64 `cue:"min_ratio: number & >=0 & <=1 | *0" doc:"where the rate begins and ends, as a share of the base rate"`
}

func wsd() *Schedule {
	return &Schedule{
		Def: Def{Name: "wsd", Title: "WSD", Attr: WSDAttr{},
			Doc:    "warm-up, stable, decay: the base rate between a rise and a fall.",
			Source: "get_wsd_schedule of transformers; arXiv:2404.06395"},
		factor: func(a any, step, steps int) float64 {
			at := a.(WSDAttr)
			if up, rising := rise(at.WarmupSteps, step); rising {
				return above(at.MinRatio, fallen(at.WarmupType, 1-up))
			}
			start := steps - at.DecaySteps
			if step < start {
				return 1
			}
			p := min(1, float64(step-start)/float64(at.DecaySteps))
			return above(at.MinRatio, fallen(at.DecayType, p))
		},
	}
}

// fallen falls from 1 to 0 as x goes from 0 to 1.
func fallen(shape string, x float64) float64 {
	switch shape {
	case "cosine":
		return halfCosine(x)
	case "1-sqrt":
		return 1 - math.Sqrt(x)
	}
	return 1 - x
}
