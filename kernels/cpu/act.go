package cpu

import (
	"math"

	"pipe.dev/compiler/op"
)

// unary computes y[i] = f(x[i]); y may be x.
type unary func(y, x []float32)

// each makes a unary of a scalar function.
func each(f func(x float32) float32) unary {
	return func(y, x []float32) {
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

// actOf returns an activation function, nil for "", or false if there is no
// function of that name.
func actOf(a op.ActAttr) (unary, bool) {
	slope := float32(a.Slope)
	switch a.Fn {
	case "":
		return nil, true
	case "relu":
		return each(func(x float32) float32 { return max(x, 0) }), true
	case "leaky_relu":
		return each(func(x float32) float32 {
			if x < 0 {
				return slope * x
			}
			return x
		}), true
	case "relu2":
		return each(func(x float32) float32 { return max(x, 0) * max(x, 0) }), true
	}
	f, ok := map[string]unary{
		"silu":       silu,
		"gelu":       each(gelu),
		"gelu_tanh":  each(geluTanh),
		"quick_gelu": each(func(x float32) float32 { return float32(float64(x) * sigmoid(1.702*x)) }),
		"sigmoid":    each(func(x float32) float32 { return float32(sigmoid(x)) }),
		"tanh":       each(func(x float32) float32 { return float32(tanh(x)) }),
		"softplus":   each(func(x float32) float32 { return float32(softplus(x)) }),
		"mish":       each(mish),
		"elu":        elu(a.Alpha),
	}[a.Fn]
	return f, ok
}

// silu is x * sigmoid(x).
func silu(y, x []float32) {
	for i, v := range x {
		y[i] = float32(float64(v) / (1 + exp(-clamp(v))))
	}
}

// gelu is x * P(X <= x) of the normal distribution.
func gelu(x float32) float32 {
	v := float64(x)
	return float32(0.5 * v * math.Erfc(-v/math.Sqrt2))
}

// geluTanh is 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))), which is
// x sigmoid(2 z).
func geluTanh(x float32) float32 {
	v := float64(x)
	const c = 2 * 0.7978845608028654 // 2 sqrt(2/pi)
	z := c * (v + 0.044715*v*v*v)
	return float32(v / (1 + exp(-min(max(z, -150), 150))))
}

// mish is x tanh(softplus(x)), and tanh(ln(1+e)) = w / (w + 2) for w = e (e + 2).
func mish(x float32) float32 {
	if x > 40 {
		return x
	}
	e := exp(clamp(x))
	w := e * (e + 2)
	return float32(float64(x) * w / (w + 2))
}

// elu is x above 0, and alpha (exp(x) - 1) below.
func elu(alpha float64) unary {
	return each(func(x float32) float32 {
		if x > 0 {
			return x
		}
		return float32(alpha * math.Expm1(float64(x)))
	})
}

// inPlace is f as a function of one row, nil if f is nil.
func inPlace(f unary) func(y []float32) {
	if f == nil {
		return nil
	}
	return func(y []float32) { f(y, y) }
}
