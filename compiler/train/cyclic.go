package train

import "math"

// CyclicAttr describes triangles.
type CyclicAttr struct {
	StepSizeUp   int     `cue:"step_size_up: int & >0 | *2000" doc:"updates from the least rate to the base rate"`
	StepSizeDown int     `cue:"step_size_down: int & >=0 | *0" doc:"updates back; 0 means as many as up"`
	Mode         string  `cue:"mode: \"triangular\" | \"triangular2\" | \"exp_range\" | *\"triangular\"" doc:"peaks stay, are halved from cycle to cycle, or are multiplied by gamma from update to update"`
	Gamma        float64 `cue:"gamma: number & >0 & <=1 | *1" doc:"of exp_range"`
	MinRatio     float64 `cue:"min_ratio: number & >=0 & <=1 | *0.1" doc:"the least rate, as a share of the base rate"`
}

func cyclic() *Schedule {
	return &Schedule{
		Def: Def{Name: "cyclic", Title: "Cyclic", Attr: CyclicAttr{},
			Doc:    "triangles between min_ratio of the base rate and the base rate; the momentum stays.",
			Source: "torch.optim.lr_scheduler.CyclicLR; arXiv:1506.01186"},
		factor: func(a any, step, steps int) float64 {
			at := a.(CyclicAttr)
			up, down := at.StepSizeUp, at.StepSizeDown
			if down == 0 {
				down = up
			}
			cycle, in := step/(up+down), step%(up+down)
			height := float64(in) / float64(up)
			if in > up {
				height = float64(up+down-in) / float64(down)
			}
			switch at.Mode {
			case "triangular2":
				height = math.Ldexp(height, -cycle)
			case "exp_range":
				height *= math.Pow(at.Gamma, float64(step))
			}
			return above(at.MinRatio, height)
		},
	}
}
