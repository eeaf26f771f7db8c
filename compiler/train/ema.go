package train

import (
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// AverageOf is the path of the state that holds the average of a weight.
func AverageOf(weight string) string { return weight + average }

// IsAverage reports whether a state is the average of a weight.
func IsAverage(path string) bool { return strings.HasSuffix(path, average) }

// average ends the path of one.
const average = "#ema"

// Average is the exponential moving average of weights over the steps of a
// training, which often is better than the last weights are.
//
//	avg = decay avg + (1 - decay) w, after the first step avg = w
//
// Sources: torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn; the
// warm-up is that of tf.train.ExponentialMovingAverage.
type Average struct {
	Decay    float64 // share of the average that stays at a step
	Warmup   bool    // the decay is at most (1 + n)/(10 + n) after n steps
	Evaluate bool    // evaluations read averages instead of weights
}

// Next writes the average after a step, from that before it and from the weight
// after it. step is the number of the step, from 1, an f32 scalar.
func (a Average) Next(b *op.Builder, avg, w, step ir.Value) ir.Value {
	if b.Err() != nil {
		return avg
	}
	one := b.Scalar(1, step)
	decay := b.Scalar(a.Decay, step)
	if a.Warmup {
		n := b.Sub(step, one)
		decay = b.Min(decay, b.Div(b.Add(n, one), b.Add(n, b.Scalar(10, step))))
	}
	// The first step keeps nothing of the zeros that the average begins with.
	decay = b.Select(b.Le(step, one), b.Scalar(0, decay), decay)
	return EMA(b, avg, w, decay)
}

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
