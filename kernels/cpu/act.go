package cpu

import (
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cpu/asm"
)

// unary computes y[i] = f(x[i]); y may be x.
type unary func(y, x []float32)

// actOf returns an activation function, nil for "", or false if there is no
// function of that name.
func (b *Backend) actOf(a op.ActAttr) (unary, bool) {
	f := &b.asm.Vector
	slope, alpha := float32(a.Slope), float32(a.Alpha)
	switch a.Fn {
	case "":
		return nil, true
	case "relu":
		return func(y, x []float32) { f.MaxS(y, x, 0) }, true
	case "relu2":
		return func(y, x []float32) {
			f.MaxS(y, x, 0)
			f.Mul(y, y, y)
		}, true
	case "leaky_relu":
		return func(y, x []float32) { f.LeakyS(y, x, slope) }, true
	case "elu":
		return func(y, x []float32) { f.Elu(y, x, alpha) }, true
	}
	g, ok := map[string]asm.Map{"silu": f.Silu, "gelu": f.Gelu, "gelu_tanh": f.GeluTanh, "quick_gelu": f.QuickGelu,
		"sigmoid": f.Sigmoid, "tanh": f.Tanh, "softplus": f.Softplus, "mish": f.Mish}[a.Fn]
	return unary(g), ok
}

// inPlace is f as a function of one row, nil if f is nil.
func inPlace(f unary) func(y []float32) {
	if f == nil {
		return nil
	}
	return func(y []float32) { f(y, y) }
}
