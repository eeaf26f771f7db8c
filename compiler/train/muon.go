package train

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// MuonAttr describes Muon, and the AdamW that updates what is no matrix.
type MuonAttr struct {
	Momentum     float64    `cue:"momentum: number & >=0 & <1 | *0.95" doc:"decay of the mean of gradients"`
	Nesterov     bool       `cue:"nesterov: bool | *true" doc:"look ahead along the mean"`
	WeightDecay  float64    `cue:"weight_decay: number & >=0 | *0.1" doc:"share of the weight that a learning rate of 1 takes away"`
	NSSteps      int        `cue:"ns_steps: int & >0 & <100 | *5" doc:"Newton-Schulz iterations"`
	Coefficients [3]float64 `cue:"ns_coefficients: [number, number, number] | *[3.4445, -4.775, 2.0315]" doc:"of the polynomial a x + b x³ + c x⁵"`
	Eps          float64    `cue:"eps: number & >0 | *1e-7" doc:"least norm that a direction is divided by"`
	AdjustLR     string     `cue:"adjust_lr_fn: \"original\" | \"match_rms_adamw\" | \"spectral_unclamped\" | *\"original\"" doc:"factor of the rate of a matrix [a, b]: sqrt(max(1, a/b)), 0.2 sqrt(max(a, b)) or sqrt(a/b)"`

	AdamW       []string   `cue:"adamw: [...string] | *[\"*embed*\", \"*lm_head*\"]" doc:"patterns of matrices that AdamW updates, as it does all weights that are no matrices"`
	AdamWRate   float64    `cue:"adamw_lr_ratio: number & >0 | *0.015" doc:"AdamW's learning rate as a multiple of lr"`
	AdamWBetas  [2]float64 `cue:"adamw_betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.95]" doc:"AdamW's decays"`
	AdamWEps    float64    `cue:"adamw_eps: number & >0 | *1e-8" doc:"AdamW's eps"`
	AdamWShrink float64    `cue:"adamw_weight_decay: number & >=0 | *0.1" doc:"AdamW's weight_decay"`
}

func muon() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "muon", Title: "Muon", Attr: MuonAttr{},
			Doc:    "orthogonal steps for matrices: m = momentum m + (1 - momentum) g; w = w (1 - lr weight_decay) - lr k O, where O is m made nearly orthogonal by Newton-Schulz iterations and k depends on the sizes; AdamW for other weights.",
			Source: "torch.optim.Muon; K. Jordan 2024, arXiv:2502.16982"},
		LR:    2e-2,
		slots: func(_ any, w ir.Type) []Slot { return zeros(w, "momentum_buffer") },
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(MuonAttr)
			ratio, err := at.ratio(s.w.Type())
			if err != nil {
				s.Fail(&op.Error{Pos: s.Pos, Op: "muon", Err: err})
				return s.w, s.slots
			}
			m := s.mix(s.slots[0], s.g, at.Momentum)
			direction := m
			if at.Nesterov {
				direction = s.Add(s.g, s.Mul(s.Sub(m, s.g), s.c(at.Momentum)))
			}
			rate := s.Mul(s.lr, s.c(ratio))
			return s.Sub(s.shrunk(at.WeightDecay), s.Mul(orthogonal(s, direction, at), rate)), []ir.Value{m}
		},
		hand: func(a any, path string, shape []ir.Dim) (Part, bool) {
			at := a.(MuonAttr)
			other := len(shape) != 2 || slices.ContainsFunc(at.AdamW, func(p string) bool { return Match(p, path) })
			inner := AdamWAttr{Betas: at.AdamWBetas, Eps: at.AdamWEps, WeightDecay: at.AdamWShrink}
			return Part{Optimizer: adamW(), Attr: inner, Rate: at.AdamWRate}, other
		},
	}
}

// ratio is the factor of the learning rate for a matrix.
func (at MuonAttr) ratio(w ir.Type) (float64, error) {
	if w.Rank() != 2 || !w.Known() {
		return 0, fmt.Errorf("weight is %v; want a matrix of known sizes", w)
	}
	n, m := float64(w.Shape[0].N), float64(w.Shape[1].N)
	switch at.AdjustLR {
	case "original":
		return math.Sqrt(max(1, n/m)), nil
	case "match_rms_adamw":
		return 0.2 * math.Sqrt(max(n, m)), nil
	case "spectral_unclamped":
		return math.Sqrt(n / m), nil
	}
	return 0, fmt.Errorf("adjust_lr_fn is %q; there are original, match_rms_adamw, spectral_unclamped", at.AdjustLR)
}

// orthogonal moves the singular values of x [n, m] towards 1: each iteration
// applies p(s) = a s + b s³ + c s⁵ to them, by products on the shorter side.
func orthogonal(s *step, x ir.Value, at MuonAttr) ir.Value {
	norm := s.Sqrt(s.Sum(s.square(x), false))
	x = s.Div(x, s.Max(norm, s.c(at.Eps)))
	shape := x.Type().Shape
	tall := shape[0].N > shape[1].N
	a, b, c := at.Coefficients[0], at.Coefficients[1], at.Coefficients[2]
	for range at.NSSteps {
		gram := s.MatMul(x, x, tall, !tall)
		poly := s.Add(s.Mul(gram, s.c(b)), s.Mul(s.MatMul(gram, gram, false, false), s.c(c)))
		var turned ir.Value
		if tall {
			turned = s.MatMul(x, poly, false, false)
		} else {
			turned = s.MatMul(poly, x, false, false)
		}
		x = s.Add(s.Mul(x, s.c(a)), turned)
	}
	return x
}
