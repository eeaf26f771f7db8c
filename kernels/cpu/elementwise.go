package cpu

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// fn1 and fn2 compute a tile; y may be an operand.
type (
	fn1[T elem] func(y, x []T)
	fn2[T elem] func(y, a, b []T)
)

// number are the types that arithmetic is done in.
type number interface{ float32 | int32 | int64 }

// whole are the number types that no vector function takes.
type whole interface{ int32 | int64 }

// float2 is a function of two operands; number and first take a single number
// as second and as first operand, and may be nil.
type float2 struct {
	rows   fn2[float32]
	number func(y, a []float32, b float32)
	first  func(y, b []float32, a float32)
}

// ones lists the functions of one operand on float32.
func ones(v *asm.Vector) map[string]fn1[float32] {
	return map[string]fn1[float32]{
		"neg":     fn1[float32](v.Neg),
		"abs":     fn1[float32](v.Abs),
		"sign":    fn1[float32](v.Sign),
		"exp":     fn1[float32](v.Exp),
		"log":     fn1[float32](v.Log),
		"sqrt":    fn1[float32](v.Sqrt),
		"rsqrt":   fn1[float32](v.Rsqrt),
		"sin":     v.Sin,
		"cos":     v.Cos,
		"tanh":    fn1[float32](v.Tanh),
		"sigmoid": fn1[float32](v.Sigmoid),
		"erf":     fn1[float32](v.Erf),
		"floor":   fn1[float32](v.Floor),
		"bf16":    fn1[float32](v.RoundBF16),
		"f16":     fn1[float32](v.RoundF16),
	}
}

// twos lists the functions of two operands on float32.
func twos(v *asm.Vector) map[string]float2 {
	return map[string]float2{
		"add": {fn2[float32](v.Add), v.AddS, v.AddS},
		"sub": {fn2[float32](v.Sub), v.SubS, v.SSub},
		"mul": {fn2[float32](v.Mul), v.MulS, v.MulS},
		"div": {fn2[float32](v.Div), v.DivS, v.SDiv},
		"pow": {rows: pow},
		"max": {rows: fn2[float32](v.Max), number: v.MaxS},
		"min": {rows: fn2[float32](v.Min), number: v.MinS},
	}
}

func neg[T whole](y, x []T) {
	for i, v := range x {
		y[i] = -v
	}
}

func absolute[T whole](y, x []T) {
	for i, v := range x {
		if v < 0 {
			v = -v
		}
		y[i] = v
	}
}

func sign[T whole](y, x []T) {
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

func add[T whole](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

func sub[T whole](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] - b[i]
	}
}

func mul[T whole](y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] * b[i]
	}
}

func pow(y, a, b []float32) {
	for i := range y {
		y[i] = float32(math.Pow(float64(a[i]), float64(b[i])))
	}
}

func greatest[T whole](y, a, b []T) {
	for i := range y {
		y[i] = max(a[i], b[i])
	}
}

func least[T whole](y, a, b []T) {
	for i := range y {
		y[i] = min(a[i], b[i])
	}
}

// unaryOp makes the kernel of a function of one operand, by its name. The
// integer versions may be nil.
func unaryOp(name string, i32 fn1[int32], i64 fn1[int64]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 1 || in[0].DType != out[0].DType {
			return nil, false
		}
		switch d := in[0].DType; {
		case stored(d):
			return mapKernel(b, b.ones[name], b.streamOf(name), in, out), true
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

// streamOf is the function of that name that writes past the caches, or nil.
func (b *Backend) streamOf(name string) unary {
	s := &b.asm.Stream
	return unary(map[string]asm.Map{"exp": s.Exp, "silu": s.Silu, "gelu": s.Gelu, "gelu_tanh": s.GeluTanh}[name])
}

// mapKernel is unaryKernel for floats; stream is f past the caches, or nil.
func mapKernel(b *Backend, f fn1[float32], stream unary, in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := vs[0], b.resultOf(vs[1], vs[0])
		if stream != nil && x.dtype == ir.F32 && y.stream {
			from, to := x.f32(), y.f32()
			return y.tiled(func(_ []float32, i, n int) { stream(to[i:i+n], from[i:i+n]) }), nil
		}
		return y.tiled(func(local []float32, i, n int) {
			to := y.room(local[:tile], i, n)
			f(to, x.tile(local[tile:2*tile], i, n))
			y.done(to, i)
		}), nil
	}}
}

// binaryOp makes the kernel of a function of two operands, by its name, which
// repeat to one shape. The integer versions may be nil.
func binaryOp(name string, i32 fn2[int32], i64 fn2[int64]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 2 || in[0].DType != in[1].DType || in[0].DType != out[0].DType {
			return nil, false
		}
		switch d := in[0].DType; {
		case stored(d):
			return floatKernel(b, b.twos[name], in, out), true
		case d == ir.I32 && i32 != nil:
			return wholeKernel(b, i32, in, out), true
		case d == ir.I64 && i64 != nil:
			return wholeKernel(b, i64, in, out), true
		}
		return nil, false
	}
}

func wholeKernel[T elem](b *Backend, f fn2[T], in, out []ir.Type) kernels.Kernel {
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

// floatKernel takes an operand that stands still along the last axis as a
// number, a run at a time.
func floatKernel(b *Backend, f float2, in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.In[1], a.Out[0])
		if err != nil {
			return nil, err
		}
		shape := a.Out[0].Shape
		p, q := newInput[float32](vs[0], a.In[0].Shape, shape), newInput[float32](vs[1], a.In[1].Shape, shape)
		y := b.resultOf(vs[2], p.vec, q.vec)
		return y.tiled(func(local []float32, i, n int) {
			to := y.room(tileBuf[float32](local, 0), i, n)
			switch {
			case q.still() && f.number != nil:
				runs(&q, f.number, to, p.read(tileBuf[float32](local, 1), i, n), i)
			case p.still() && f.first != nil:
				runs(&p, f.first, to, q.read(tileBuf[float32](local, 1), i, n), i)
			default:
				f.rows(to, p.read(tileBuf[float32](local, 1), i, n), q.read(tileBuf[float32](local, 2), i, n))
			}
			y.done(to, i)
		}), nil
	}}
}

// runs calls f for each run of the result from place i on in which an operand
// stands still.
func runs(still *input[float32], f func(y, a []float32, b float32), y, a []float32, i int) {
	last := len(still.shape) - 1
	width := still.shape[last]
	rows := newWalker(still.shape[:last], still.strides, i/width)
	for col := i % width; len(y) > 0; col = 0 {
		n := min(width-col, len(y))
		f(y[:n], a[:n], still.one(rows.at))
		rows.next()
		y, a = y[n:], a[n:]
	}
}
