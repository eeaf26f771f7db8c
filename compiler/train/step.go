package train

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// step is an Update whose values have one element type, with the formulas that
// optimizers share. Their elementwise parts are of the weight's shape or
// scalars, so that the compiler can make one pass over memory of them.
type step struct {
	*op.Builder
	w, g  ir.Value
	lr, t ir.Value // scalars
	slots []ir.Value
	decay bool
}

func (s *step) c(v float64) ir.Value { return s.Scalar(v, s.w) }

// mix returns beta avg + (1 - beta) x.
func (s *step) mix(avg, x ir.Value, beta float64) ir.Value {
	return s.Add(s.Mul(avg, s.c(beta)), s.Mul(x, s.c(1-beta)))
}

func (s *step) square(x ir.Value) ir.Value { return s.Mul(x, x) }

// correction returns 1 - beta^t, the weight that an average which started at
// zero has seen by step t. It is written as 2 tanh(y/2) / (1 + tanh(y/2)) with
// y = -t ln(beta), which keeps its precision in f32 for beta near 1.
func (s *step) correction(beta float64) ir.Value {
	if beta == 0 {
		return s.c(1)
	}
	h := s.Tanh(s.Mul(s.t, s.c(-math.Log(beta)/2)))
	return s.Div(s.Mul(s.c(2), h), s.Add(h, s.c(1)))
}

// coupled returns the gradient of the loss plus weight_decay/2 |w|².
func (s *step) coupled(decay float64) ir.Value {
	if !s.decay || decay == 0 {
		return s.g
	}
	return s.Add(s.g, s.Mul(s.w, s.c(decay)))
}

// shrunk returns w (1 - lr weight_decay), decay apart from the gradient.
// Source: arXiv:1711.05101.
func (s *step) shrunk(decay float64) ir.Value {
	if !s.decay || decay == 0 {
		return s.w
	}
	return s.Mul(s.w, s.Sub(s.c(1), s.Mul(s.lr, s.c(decay))))
}

// rms returns the root of the mean square, a scalar.
func (s *step) rms(x ir.Value) ir.Value {
	return s.Sqrt(s.Div(s.Sum(s.square(x), false), s.Count(x, x.Type().Shape...)))
}
