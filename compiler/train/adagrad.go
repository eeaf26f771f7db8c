package train

import "pipe.dev/compiler/ir"

// AdagradAttr describes Adagrad.
type AdagradAttr struct {
	LRDecay     float64 `cue:"lr_decay: number & >=0 | *0" doc:"the rate is divided by 1 + (t - 1) lr_decay"`
	WeightDecay float64 `cue:"weight_decay: number & >=0 | *0" doc:"times the weight, added to the gradient"`
	Initial     float64 `cue:"initial_accumulator_value: number & >=0 | *0" doc:"where the sum of squares starts"`
	Eps         float64 `cue:"eps: number & >0 | *1e-10" doc:"added to the root below the fraction"`
}

// adagrad keeps the sum of squares without its initial value, so that the
// state of every optimizer starts at zero.
func adagrad() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "adagrad", Title: "Adagrad", Attr: AdagradAttr{},
			Doc:    "the gradient over the root of the sum of squares: s = s + g²; w = w - lr g / (sqrt(s) + eps).",
			Source: "torch.optim.Adagrad; Duchi et al. 2011"},
		LR:    1e-2,
		slots: func(_ any, w ir.Type) []Slot { return zeros(w, "sum") },
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(AdagradAttr)
			g := s.coupled(at.WeightDecay)
			sum := s.Add(s.slots[0], s.square(g))
			below := sum
			if at.Initial != 0 {
				below = s.Add(sum, s.c(at.Initial))
			}
			rate := s.lr
			if at.LRDecay != 0 {
				rate = s.Div(s.lr, s.Add(s.Mul(s.Sub(s.t, s.c(1)), s.c(at.LRDecay)), s.c(1)))
			}
			return s.Sub(s.w, s.Div(s.Mul(g, rate), s.Add(s.Sqrt(below), s.c(at.Eps)))), []ir.Value{sum}
		},
	}
}
