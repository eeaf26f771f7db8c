package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// normEps is added to the norm that gradients are divided by, as
// torch.nn.utils.clip_grad_norm_ does.
const normEps = 1e-6

// SquaredNorms writes the sum of squares of each of grads: f32 scalars, f64 of
// those that are.
func SquaredNorms(b *op.Builder, grads []ir.Value) []ir.Value {
	out := make([]ir.Value, len(grads))
	for i, g := range grads {
		if b.Err() != nil {
			return grads
		}
		g = b.Cast(g, wideType(g.Type()).DType)
		out[i] = b.Sum(b.Mul(g, g), false)
	}
	return out
}

// GlobalNorm writes the Euclidean norm of all grads together: the squares of
// each are summed, then these sums in the order of grads, so that the bits
// depend on nothing else. The result is an f32 scalar (f64 if all are).
func GlobalNorm(b *op.Builder, grads []ir.Value) ir.Value {
	if len(grads) == 0 {
		b.Fail(&op.Error{Pos: b.Pos, Op: "global_norm", Err: fmt.Errorf("no gradients")})
	}
	var sum ir.Value
	for i, square := range SquaredNorms(b, grads) {
		if b.Err() != nil {
			return b.Scalar(0, square)
		}
		if i == 0 {
			sum = square
		} else {
			sum = b.Add(sum, b.Cast(square, sum.Type().DType))
		}
	}
	return b.Sqrt(sum)
}

// ClipByNorm scales all grads by one factor, so that their norm together is at
// most limit: min(1, limit / (norm + 1e-6)). It also returns the norm before.
func ClipByNorm(b *op.Builder, grads []ir.Value, limit float64) ([]ir.Value, ir.Value) {
	norm := GlobalNorm(b, grads)
	if b.Err() != nil {
		return grads, norm
	}
	scale := b.Min(b.Div(b.Scalar(limit, norm), b.Add(norm, b.Scalar(normEps, norm))), b.Scalar(1, norm))
	out := make([]ir.Value, len(grads))
	for i, g := range grads {
		wide := wideType(g.Type()).DType
		out[i] = b.Cast(b.Mul(b.Cast(g, wide), b.Cast(scale, wide)), g.Type().DType)
	}
	return out, norm
}

// ClipByValue bounds every element of grads to [-limit, limit].
func ClipByValue(b *op.Builder, grads []ir.Value, limit float64) []ir.Value {
	out := make([]ir.Value, len(grads))
	for i, g := range grads {
		if b.Err() != nil {
			return grads
		}
		out[i] = b.Min(b.Max(g, b.Scalar(-limit, g)), b.Scalar(limit, g))
	}
	return out
}
