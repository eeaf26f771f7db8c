package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// EMA writes the next exponential moving average of a weight: decay avg + (1 -
// decay) w. avg has at least f32; w may be narrower; decay is a scalar.
func EMA(b *op.Builder, avg, w, decay ir.Value) ir.Value {
	if b.Err() != nil {
		return avg
	}
	t := avg.Type().DType
	d := b.Cast(decay, t)
	return b.Add(b.Mul(avg, d), b.Mul(b.Cast(w, t), b.Sub(b.Scalar(1, d), d)))
}
