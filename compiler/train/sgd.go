package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// SGDAttr describes gradient descent with momentum.
type SGDAttr struct {
	Momentum    float64 `cue:"momentum: number & >=0 & <1 | *0.9" doc:"share of the last direction that is kept; 0 keeps no state"`
	Dampening   float64 `cue:"dampening: number & >=0 & <1 | *0" doc:"share of the gradient that does not enter the direction, from the second step on"`
	Nesterov    bool    `cue:"nesterov: bool | *false" doc:"look ahead along the direction; needs momentum and no dampening"`
	WeightDecay float64 `cue:"weight_decay: number & >=0 | *0" doc:"times the weight, added to the gradient"`
}

func sgd() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "sgd", Title: "SGD", Attr: SGDAttr{},
			Doc:    "gradient descent: m = momentum m + (1 - dampening) g; w = w - lr m, or w - lr (g + momentum m) with nesterov.",
			Source: "torch.optim.SGD; Sutskever et al. 2013",
			check: func(a any) error {
				if at := a.(SGDAttr); at.Nesterov && (at.Momentum == 0 || at.Dampening != 0) {
					return fmt.Errorf("nesterov needs momentum above 0 and dampening 0, have %v and %v", at.Momentum, at.Dampening)
				}
				return nil
			}},
		LR: 1e-2,
		slots: func(a any, w ir.Type) []Slot {
			if a.(SGDAttr).Momentum == 0 {
				return nil
			}
			return zeros(w, "momentum_buffer")
		},
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(SGDAttr)
			g := s.coupled(at.WeightDecay)
			if at.Momentum == 0 {
				return s.Sub(s.w, s.Mul(g, s.lr)), nil
			}
			enter := g
			if at.Dampening != 0 { // the first step takes the whole gradient
				share := s.Select(s.Le(s.t, s.c(1)), s.c(1), s.c(1-at.Dampening))
				enter = s.Mul(g, share)
			}
			m := s.Add(s.Mul(s.slots[0], s.c(at.Momentum)), enter)
			direction := m
			if at.Nesterov {
				direction = s.Add(g, s.Mul(m, s.c(at.Momentum)))
			}
			return s.Sub(s.w, s.Mul(direction, s.lr)), []ir.Value{m}
		},
	}
}
