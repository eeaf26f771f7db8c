package train

import "pipe.dev/compiler/ir"

// LionAttr describes Lion.
type LionAttr struct {
	Betas       [2]float64 `cue:"betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.99]" doc:"share of the mean in the direction, and decay of the mean"`
	WeightDecay float64    `cue:"weight_decay: number & >=0 | *0.1" doc:"share of the weight that a learning rate of 1 takes away"`
}

func lion() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "lion", Title: "Lion", Attr: LionAttr{},
			Doc:    "the sign of a mean of gradients: w = w (1 - lr weight_decay) - lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g.",
			Source: "arXiv:2302.06675, algorithm 2"},
		LR:    1e-4,
		slots: func(_ any, w ir.Type) []Slot { return zeros(w, "exp_avg") },
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(LionAttr)
			direction := s.Sign(s.mix(s.slots[0], s.g, at.Betas[0]))
			next := s.Sub(s.shrunk(at.WeightDecay), s.Mul(direction, s.lr))
			return next, []ir.Value{s.mix(s.slots[0], s.g, at.Betas[1])}
		},
	}
}
