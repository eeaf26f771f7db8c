package train

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// LossScale is the factor that a loss is multiplied by before its gradients are
// taken, so that these do not vanish in f16. It falls when a gradient is not
// finite, and the step is skipped then; it grows after a number of good steps.
//
// Source: torch.amp.GradScaler; arXiv:1710.03740.
type LossScale struct {
	Init     float64 // at the beginning
	Interval int     // good steps in a row after which it doubles
}

// LeastLossScale is what a loss scale does not fall below: a model whose
// gradients are not finite even so is broken.
const LeastLossScale = 1

// Good writes whether a step may be made: whether all gradients are finite, by
// their norm together.
func (s LossScale) Good(b *op.Builder, norm ir.Value) ir.Value {
	return b.Le(norm, b.Scalar(math.MaxFloat32, norm))
}

// Next writes the scale and the number of good steps in a row after a step:
//
//	good: run + 1, and after Interval of them 2 scale and run = 0
//	else: scale / 2, and run = 0
func (s LossScale) Next(b *op.Builder, good, scale, run ir.Value) (ir.Value, ir.Value) {
	c := func(v float64) ir.Value { return b.Scalar(v, scale) }
	run = b.Select(good, b.Add(run, c(1)), c(0))
	full := b.Ge(run, c(float64(s.Interval)))
	grown := b.Select(full, b.Min(b.Mul(scale, c(2)), c(0x1p127)), scale)
	fallen := b.Max(b.Mul(scale, c(0.5)), c(LeastLossScale))
	return b.Select(good, grown, fallen), b.Select(full, c(0), run)
}
