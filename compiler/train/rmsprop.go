package train

import "pipe.dev/compiler/ir"

// RMSPropAttr describes RMSProp.
type RMSPropAttr struct {
	Alpha       float64 `cue:"alpha: number & >=0 & <1 | *0.99" doc:"decay of the mean of squared gradients"`
	Eps         float64 `cue:"eps: number & >0 | *1e-8" doc:"added to the root below the fraction"`
	WeightDecay float64 `cue:"weight_decay: number & >=0 | *0" doc:"times the weight, added to the gradient"`
	Momentum    float64 `cue:"momentum: number & >=0 & <1 | *0" doc:"share of the last direction that is kept"`
	Centered    bool    `cue:"centered: bool | *false" doc:"divide by the deviation instead of the mean square"`
}

func rmsProp() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "rmsprop", Title: "RMSProp", Attr: RMSPropAttr{},
			Doc:    "the gradient over the root of the mean of squares: v = alpha v + (1 - alpha) g²; w = w - lr g / (sqrt(v) + eps); centered takes v - mean(g)² below the root.",
			Source: "torch.optim.RMSprop; Tieleman and Hinton 2012, centered arXiv:1308.0850"},
		LR: 1e-2,
		slots: func(a any, w ir.Type) []Slot {
			names := []string{"square_avg"}
			if a.(RMSPropAttr).Centered {
				names = append(names, "grad_avg")
			}
			if a.(RMSPropAttr).Momentum > 0 {
				names = append(names, "momentum_buffer")
			}
			return zeros(w, names...)
		},
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(RMSPropAttr)
			g := s.coupled(at.WeightDecay)
			v := s.mix(s.slots[0], s.square(g), at.Alpha)
			slots, below := []ir.Value{v}, v
			if at.Centered {
				mean := s.mix(s.slots[1], g, at.Alpha)
				slots = append(slots, mean)
				below = s.Max(s.Sub(v, s.square(mean)), s.c(0)) // rounding may take it below 0
			}
			d := s.Div(g, s.Add(s.Sqrt(below), s.c(at.Eps)))
			if at.Momentum > 0 {
				d = s.Add(s.Mul(s.slots[len(s.slots)-1], s.c(at.Momentum)), d)
				slots = append(slots, d)
			}
			return s.Sub(s.w, s.Mul(d, s.lr)), slots
		},
	}
}
