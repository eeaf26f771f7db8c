package train

import "pipe.dev/compiler/ir"

// AdamAttr describes Adam, and AdamW.
type AdamAttr struct {
	Betas       [2]float64 `cue:"betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.999]" doc:"decay of the mean of gradients and of that of their squares"`
	Eps         float64    `cue:"eps: number & >0 | *1e-8" doc:"added to the root below the fraction"`
	WeightDecay float64    `cue:"weight_decay: number & >=0 | *0" doc:"times the weight, added to the gradient"`
	AMSGrad     bool       `cue:"amsgrad: bool | *false" doc:"divide by the greatest mean of squares so far"`
}

// AdamWAttr differs in its weight decay.
type AdamWAttr struct {
	Betas       [2]float64 `cue:"betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.999]" doc:"decay of the mean of gradients and of that of their squares"`
	Eps         float64    `cue:"eps: number & >0 | *1e-8" doc:"added to the root below the fraction"`
	WeightDecay float64    `cue:"weight_decay: number & >=0 | *0.01" doc:"share of the weight that a learning rate of 1 takes away"`
	AMSGrad     bool       `cue:"amsgrad: bool | *false" doc:"divide by the greatest mean of squares so far"`
}

func adam() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "adam", Title: "Adam", Attr: AdamAttr{},
			Doc:    "the mean of gradients over the root of the mean of their squares: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²; w = w - lr m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps).",
			Source: "torch.optim.Adam; arXiv:1412.6980, amsgrad arXiv:1904.09237"},
		LR:    1e-3,
		slots: func(a any, w ir.Type) []Slot { return adamSlots(AdamWAttr(a.(AdamAttr)), w) },
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := AdamWAttr(a.(AdamAttr))
			return adamStep(s, at, s.w, s.coupled(at.WeightDecay))
		},
	}
}

func adamW() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "adamw", Title: "AdamW", Attr: AdamWAttr{},
			Doc:    "Adam whose weight decay stands apart from the gradient: w = w (1 - lr weight_decay), then Adam's step.",
			Source: "torch.optim.AdamW; arXiv:1711.05101"},
		LR:    1e-3,
		slots: func(a any, w ir.Type) []Slot { return adamSlots(a.(AdamWAttr), w) },
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(AdamWAttr)
			return adamStep(s, at, s.shrunk(at.WeightDecay), s.g)
		},
	}
}

func adamSlots(at AdamWAttr, w ir.Type) []Slot {
	out := zeros(w, "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
	out[1].Positive, out[2].Positive = true, true
	if !at.AMSGrad {
		out = out[:2]
	}
	return out
}

// adamStep moves w by the gradient g.
func adamStep(s *step, at AdamWAttr, w, g ir.Value) (ir.Value, []ir.Value) {
	m := s.mix(s.slots[0], g, at.Betas[0])
	v := s.mix(s.slots[1], s.square(g), at.Betas[1])
	slots, below := []ir.Value{m, v}, v
	if at.AMSGrad {
		below = s.Max(s.slots[2], v)
		slots = append(slots, below)
	}
	rate := s.Div(s.lr, s.correction(at.Betas[0]))
	root := s.Mul(s.Sqrt(below), s.Rsqrt(s.correction(at.Betas[1])))
	return s.Sub(w, s.Div(s.Mul(m, rate), s.Add(root, s.c(at.Eps)))), slots
}
