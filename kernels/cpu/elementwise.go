package cpu

import (
	"cmp"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// fn1 and fn2 compute a tile; y may be an operand.
type (
	fn1[T elem] func(y, x []T)
	fn2[T elem] func(y, a, b []T)
)

// number are the types that arithmetic is done in.
type number interface{ float32 | int32 | int64 }

// each1 makes a fn1 of a function in float64.
func each1(f func(x float64) float64) fn1[float32] {
	return func(y, x []float32) {
		for i, v := range x {
			y[i] = float32(f(float64(v)))
		}
	}
}

// unaryTable lists the functions of one operand on float32.
func unaryTable() map[string]fn1[float32] {
	return map[string]fn1[float32]{
		"neg":     neg[float32],
		"abs":     absolute[float32],
		"sign":    sign[float32],
		"exp":     fn1[float32](each(exp32)),
		"log":     each1(math.Log),
		"sqrt":    each1(math.Sqrt),
		"rsqrt":   each1(func(x float64) float64 { return 1 / math.Sqrt(x) }),
		"sin":     each1(math.Sin),
		"cos":     each1(math.Cos),
		"tanh":    fn1[float32](each(func(x float32) float32 { return float32(tanh(x)) })),
		"sigmoid": fn1[float32](each(func(x float32) float32 { return float32(sigmoid(x)) })),
		"erf":     each1(math.Erf),
		"floor":   each1(math.Floor),
	}
}

// binaryTable lists the functions of two operands on float32.
func binaryTable() map[string]fn2[float32] {
	return map[string]fn2[float32]{
		"add": add[float32],
		"sub": sub[float32],
		"mul": mul[float32],
		"div": div,
		"pow": pow,
		"max": greatest[float32],
		"min": least[float32],
	}
}

func neg[T number](y, x []T) {
	for i, v := range x {
		y[i] = -v
	}
}

func absolute[T number](y, x []T) {
	for i, v := range x {
		if v <= 0 { // so that -0 becomes 0
			v = 0 - v
		}
		y[i] = v
	}
}

func sign[T number](y, x []T) {
	for i, v := range x {
		switch {
		case v > 0:
			y[i] = 1
		case v < 0:
			y[i] = -1
		default:
			y[i] = 0
		}
	}
}

func add[T number](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

func sub[T number](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] - b[i]
	}
}

func mul[T number](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] * b[i]
	}
}

func div(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] / b[i]
	}
}

func pow(y, a, b []float32) {
	for i := range y {
		y[i] = float32(math.Pow(float64(a[i]), float64(b[i])))
	}
}

func greatest[T cmp.Ordered](y, a, b []T) {
	for i := range y {
		y[i] = max(a[i], b[i])
	}
}

func least[T cmp.Ordered](y, a, b []T) {
	for i := range y {
		y[i] = min(a[i], b[i])
	}
}

// unaryOp makes the kernel of a function of one operand. The integer versions
// may be nil.
func unaryOp(f fn1[float32], i32 fn1[int32], i64 fn1[int64]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 1 || in[0].DType != out[0].DType {
			return nil, false
		}
		switch d := in[0].DType; {
		case stored(d):
			return unaryKernel(b, f, in, out), true
		case d == ir.I32 && i32 != nil:
			return unaryKernel(b, i32, in, out), true
		case d == ir.I64 && i64 != nil:
			return unaryKernel(b, i64, in, out), true
		}
		return nil, false
	}
}

func unaryKernel[T elem](b *Backend, f fn1[T], in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := input[T]{vec: vs[0]}, output[T]{vs[1]}
		return b.tiled(y.n, func(local []float32, i, n int) {
			to := y.room(tileBuf[T](local, 0), i, n)
			f(to, x.read(tileBuf[T](local, 1), i, n))
			y.keep(to, i)
		}), nil
	}}
}

// binaryOp makes the kernel of a function of two operands, which repeat to one
// shape. The integer versions may be nil.
func binaryOp(f fn2[float32], i32 fn2[int32], i64 fn2[int64]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 2 || in[0].DType != in[1].DType || in[0].DType != out[0].DType {
			return nil, false
		}
		switch d := in[0].DType; {
		case stored(d):
			return binaryKernel(b, f, in, out), true
		case d == ir.I32 && i32 != nil:
			return binaryKernel(b, i32, in, out), true
		case d == ir.I64 && i64 != nil:
			return binaryKernel(b, i64, in, out), true
		}
		return nil, false
	}
}

func binaryKernel[T elem](b *Backend, f fn2[T], in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.In[1], a.Out[0])
		if err != nil {
			return nil, err
		}
		shape := a.Out[0].Shape
		p, q := newInput[T](vs[0], a.In[0].Shape, shape), newInput[T](vs[1], a.In[1].Shape, shape)
		y := output[T]{vs[2]}
		return b.tiled(y.n, func(local []float32, i, n int) {
			to := y.room(tileBuf[T](local, 0), i, n)
			f(to, p.read(tileBuf[T](local, 1), i, n), q.read(tileBuf[T](local, 2), i, n))
			y.keep(to, i)
		}), nil
	}}
}
