package train

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Balance keeps experts evenly used without a loss: after each step the bias of
// an expert that got less than the mean of the tokens grows by Rate, that of one
// that got more shrinks. A bias counts in the choice of experts alone.
//
//	bias = bias + rate sign(mean(load) - load)
//
// Source: arXiv:2408.15664, as arXiv:2412.19437 uses it.
type Balance struct {
	Bias    string  // pattern of the paths of the biases, one for each layer
	Taken   string  // token, or pattern, of 1 for the experts that a token goes through, else 0
	Weights string  // input of the batch that says which tokens count; "" is all
	Rate    float64 // by which a bias changes at a step
	Pos     ir.Pos
}

// Load adds up the tokens of each expert.
//
//	taken [batch, seq, experts] or [batch, seq, layers, experts]   weights [batch, seq], or none   [layers, experts] f32
func (*Balance) Load(b *op.Builder, taken, weights ir.Value) ir.Value {
	shape := taken.Type().Shape
	if len(shape) == 3 {
		taken = b.Reshape(taken, shape[0], shape[1], ir.D(1), shape[2])
	}
	taken = b.Cast(taken, ir.F32)
	if weights.Valid() {
		taken = b.Mul(taken, b.Reshape(weights, shape[0], shape[1], ir.D(1), ir.D(1)))
	}
	return b.Sum(taken, false, 0, 1)
}

// Next writes the bias after a step, from that before it and from the tokens of
// each expert, both [experts].
func (a *Balance) Next(b *op.Builder, bias, load ir.Value) ir.Value {
	less := b.Sign(b.Sub(b.Mean(load, true), load))
	return b.Add(bias, b.Mul(b.Cast(less, bias.Type().DType), b.Scalar(a.Rate, bias)))
}
