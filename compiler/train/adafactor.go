package train

import (
	"slices"

	"pipe.dev/compiler/ir"
)

// AdafactorAttr describes Adafactor with a rate from outside.
type AdafactorAttr struct {
	Eps            [2]float64 `cue:"eps: [number & >0, number & >=0] | *[1e-30, 1e-3]" doc:"added to squared gradients; least scale of a weight"`
	ClipThreshold  float64    `cue:"clip_threshold: number & >0 | *1" doc:"greatest root mean square of an update before the rate"`
	DecayRate      float64    `cue:"decay_rate: number & <0 | *-0.8" doc:"the mean of squares takes a share t^decay_rate of the newest"`
	Beta1          float64    `cue:"beta1: number & >=0 & <1 | *0" doc:"decay of the mean of updates; 0 keeps none"`
	WeightDecay    float64    `cue:"weight_decay: number & >=0 | *0" doc:"share of the weight that a learning rate of 1 takes away"`
	ScaleParameter bool       `cue:"scale_parameter: bool | *true" doc:"multiply the rate by the root mean square of the weight"`
}

func adafactor() *Optimizer {
	return &Optimizer{
		Def: Def{Name: "adafactor", Title: "Adafactor", Attr: AdafactorAttr{},
			Doc:    "Adam without the mean of gradients, whose mean of squares is kept as one mean for each row and one for each column.",
			Source: "Adafactor of transformers with relative_step=False; arXiv:1804.04235"},
		LR: 1e-2,
		slots: func(a any, w ir.Type) []Slot {
			var out []Slot
			if n := w.Rank(); n >= 2 {
				row, col := w.With(w.Shape[:n-1]...), w.With(without(w.Shape, n-2)...)
				out = append(zeros(row, "exp_avg_sq_row"), zeros(col, "exp_avg_sq_col")...)
			} else {
				out = zeros(w, "exp_avg_sq")
			}
			if a.(AdafactorAttr).Beta1 > 0 {
				out = append(out, zeros(w, "exp_avg")...)
			}
			return out
		},
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at := a.(AdafactorAttr)
			u, slots := at.direction(s)
			u = s.Div(u, s.Max(s.Div(s.rms(u), s.c(at.ClipThreshold)), s.c(1)))
			if at.ScaleParameter {
				s.lr = s.Mul(s.lr, s.Max(s.rms(s.w), s.c(at.Eps[1])))
			}
			u = s.Mul(u, s.lr)
			if at.Beta1 > 0 {
				u = s.mix(s.slots[len(s.slots)-1], u, at.Beta1)
				slots = append(slots, u)
			}
			return s.Sub(s.shrunk(at.WeightDecay), u), slots
		},
	}
}

// direction is the gradient over the root of the mean of squares, and the
// next means. That of a matrix is the product of its rows' and its columns'
// means over the mean of all.
func (at AdafactorAttr) direction(s *step) (ir.Value, []ir.Value) {
	newest := s.Pow(s.t, s.c(at.DecayRate))
	mix := func(avg, x ir.Value) ir.Value { return s.Add(avg, s.Mul(s.Sub(x, avg), newest)) }
	square := s.Add(s.square(s.g), s.c(at.Eps[0]))
	shape := s.w.Type().Shape
	n := len(shape)
	if n < 2 {
		v := mix(s.slots[0], square)
		return s.Mul(s.g, s.Rsqrt(v)), []ir.Value{v}
	}
	row := mix(s.slots[0], s.Mean(square, false, -1))
	col := mix(s.slots[1], s.Mean(square, false, -2))
	r := s.Reshape(s.Rsqrt(s.Div(row, s.Mean(row, true, -1))), replaced(shape, n-1, ir.D(1))...)
	c := s.Reshape(s.Rsqrt(col), replaced(shape, n-2, ir.D(1))...)
	return s.Mul(s.Mul(r, c), s.g), []ir.Value{row, col}
}

// without returns shape less axis i.
func without(shape []ir.Dim, i int) []ir.Dim { return slices.Delete(slices.Clone(shape), i, i+1) }

// replaced returns shape with axis i set to d.
func replaced(shape []ir.Dim, i int, d ir.Dim) []ir.Dim {
	out := slices.Clone(shape)
	out[i] = d
	return out
}
