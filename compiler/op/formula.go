package op

import (
	"pipe.dev/compiler/ir"
)

// Methods of Builder for every op, so that formulas read as formulas. Shapes
// and errors are those of the ops.

func (b *Builder) one(name string, attr any, in ...ir.Value) ir.Value {
	return b.Apply(name, attr, in...)[0]
}

// Neg returns -x.
func (b *Builder) Neg(x ir.Value) ir.Value { return b.one("neg", nil, x) }

// Abs returns |x|.
func (b *Builder) Abs(x ir.Value) ir.Value { return b.one("abs", nil, x) }

// Exp returns e to the power x.
func (b *Builder) Exp(x ir.Value) ir.Value { return b.one("exp", nil, x) }

// Log returns the natural logarithm of x.
func (b *Builder) Log(x ir.Value) ir.Value { return b.one("log", nil, x) }

// Sqrt returns the square root of x.
func (b *Builder) Sqrt(x ir.Value) ir.Value { return b.one("sqrt", nil, x) }

// Rsqrt returns 1 / sqrt(x).
func (b *Builder) Rsqrt(x ir.Value) ir.Value { return b.one("rsqrt", nil, x) }

// Sin returns the sine of x radians.
func (b *Builder) Sin(x ir.Value) ir.Value { return b.one("sin", nil, x) }

// Cos returns the cosine of x radians.
func (b *Builder) Cos(x ir.Value) ir.Value { return b.one("cos", nil, x) }

// Tanh returns the hyperbolic tangent of x.
func (b *Builder) Tanh(x ir.Value) ir.Value { return b.one("tanh", nil, x) }

// Sigmoid returns 1 / (1 + exp(-x)).
func (b *Builder) Sigmoid(x ir.Value) ir.Value { return b.one("sigmoid", nil, x) }

// Erf returns the error function of x.
func (b *Builder) Erf(x ir.Value) ir.Value { return b.one("erf", nil, x) }

// Sign returns -1, 0 or 1.
func (b *Builder) Sign(x ir.Value) ir.Value { return b.one("sign", nil, x) }

// Floor rounds x down.
func (b *Builder) Floor(x ir.Value) ir.Value { return b.one("floor", nil, x) }

// Add returns x + y.
func (b *Builder) Add(x, y ir.Value) ir.Value { return b.one("add", nil, x, y) }

// Sub returns x - y.
func (b *Builder) Sub(x, y ir.Value) ir.Value { return b.one("sub", nil, x, y) }

// Mul returns x * y.
func (b *Builder) Mul(x, y ir.Value) ir.Value { return b.one("mul", nil, x, y) }

// Div returns x / y.
func (b *Builder) Div(x, y ir.Value) ir.Value { return b.one("div", nil, x, y) }

// Pow returns x to the power y.
func (b *Builder) Pow(x, y ir.Value) ir.Value { return b.one("pow", nil, x, y) }

// Max returns the greater of x and y.
func (b *Builder) Max(x, y ir.Value) ir.Value { return b.one("max", nil, x, y) }

// Min returns the lesser of x and y.
func (b *Builder) Min(x, y ir.Value) ir.Value { return b.one("min", nil, x, y) }

// Eq returns whether x = y.
func (b *Builder) Eq(x, y ir.Value) ir.Value { return b.one("eq", nil, x, y) }

// Ne returns whether x ≠ y.
func (b *Builder) Ne(x, y ir.Value) ir.Value { return b.one("ne", nil, x, y) }

// Lt returns whether x < y.
func (b *Builder) Lt(x, y ir.Value) ir.Value { return b.one("lt", nil, x, y) }

// Le returns whether x ≤ y.
func (b *Builder) Le(x, y ir.Value) ir.Value { return b.one("le", nil, x, y) }

// Gt returns whether x > y.
func (b *Builder) Gt(x, y ir.Value) ir.Value { return b.one("gt", nil, x, y) }

// Ge returns whether x ≥ y.
func (b *Builder) Ge(x, y ir.Value) ir.Value { return b.one("ge", nil, x, y) }

// Not returns the opposite of x.
func (b *Builder) Not(x ir.Value) ir.Value { return b.one("not", nil, x) }

// And returns whether both x and y hold.
func (b *Builder) And(x, y ir.Value) ir.Value { return b.one("and", nil, x, y) }

// Or returns whether x or y holds.
func (b *Builder) Or(x, y ir.Value) ir.Value { return b.one("or", nil, x, y) }

// Select returns x where cond holds, else y.
func (b *Builder) Select(cond, x, y ir.Value) ir.Value { return b.one("select", nil, cond, x, y) }

// Cast returns x as elements of type t, and x itself if it has them already.
func (b *Builder) Cast(x ir.Value, t ir.DType) ir.Value {
	if b.err == nil && x.Type().DType == t {
		return x
	}
	return b.one("cast", CastAttr{DType: t.String()}, x)
}

// Detach returns x, through which no gradient flows.
func (b *Builder) Detach(x ir.Value) ir.Value { return b.one("detach", nil, x) }

// Fill returns a tensor of one value.
func (b *Builder) Fill(value float64, t ir.DType, shape ...ir.Dim) ir.Value {
	direct := t
	if t != ir.F32 && t != ir.I32 {
		direct = ir.F32
	}
	return b.Cast(b.one("fill", FillAttr{DType: direct.String(), Shape: MakeDims(shape...), Value: value}), t)
}

// Scalar returns value as a tensor without axes, of x's element type.
func (b *Builder) Scalar(value float64, x ir.Value) ir.Value {
	return b.Fill(value, x.Type().DType)
}

// Iota counts 0, 1, 2, ... along an axis of a tensor.
func (b *Builder) Iota(t ir.DType, axis int, shape ...ir.Dim) ir.Value {
	return b.one("iota", IotaAttr{DType: t.String(), Shape: MakeDims(shape...), Axis: axis})
}

// MatMul returns the product of x and y in their last two axes, either of
// them transposed there first.
func (b *Builder) MatMul(x, y ir.Value, transX, transY bool) ir.Value {
	return b.one("matmul", MatMulAttr{TransA: transX, TransB: transY}, x, y)
}

// Reshape returns the elements of x in a new shape.
func (b *Builder) Reshape(x ir.Value, shape ...ir.Dim) ir.Value {
	return b.one("reshape", ReshapeAttr{Shape: MakeDims(shape...)}, x)
}

// Transpose returns x with axis i taken from axis perm[i].
func (b *Builder) Transpose(x ir.Value, perm ...int) ir.Value {
	return b.one("transpose", TransposeAttr{Perm: MakeInts(perm...)}, x)
}

// Broadcast repeats x to a shape.
func (b *Builder) Broadcast(x ir.Value, shape ...ir.Dim) ir.Value {
	return b.one("broadcast", BroadcastAttr{Shape: MakeDims(shape...)}, x)
}

// Slice returns elements start to stop-1 along an axis.
func (b *Builder) Slice(x ir.Value, axis, start, stop int) ir.Value {
	return b.one("slice", SliceAttr{Axis: axis, Start: start, Stop: stop, Step: 1}, x)
}

// Concat joins xs along an axis.
func (b *Builder) Concat(axis int, xs ...ir.Value) ir.Value {
	return b.one("concat", AxisAttr{Axis: axis}, xs...)
}

// Split cuts x along an axis into parts of the given sizes.
func (b *Builder) Split(x ir.Value, axis int, sizes ...int) []ir.Value {
	out := b.Apply("split", SplitAttr{Axis: axis, Sizes: MakeInts(sizes...)}, x)
	for len(out) < len(sizes) { // after an error
		out = append(out, out[0])
	}
	return out
}

// Pad adds elements of a value before and after x along each axis.
func (b *Builder) Pad(x ir.Value, before, after []int, value float64) ir.Value {
	return b.one("pad", PadAttr{Before: MakeInts(before...), After: MakeInts(after...), Value: value}, x)
}

// Gather returns the slices of x at indices along an axis.
func (b *Builder) Gather(x, indices ir.Value, axis int) ir.Value {
	return b.one("gather", AxisAttr{Axis: axis}, x, indices)
}

// ScatterAdd is the adjoint of Gather on an axis of the given size.
func (b *Builder) ScatterAdd(y, indices ir.Value, axis, size int) ir.Value {
	return b.one("scatter_add", ScatterAttr{Axis: axis, Size: size}, y, indices)
}

// TakeAlong returns, for every element of indices, the element of x at that
// place along an axis and at the same place along the others.
func (b *Builder) TakeAlong(x, indices ir.Value, axis int) ir.Value {
	return b.one("take_along", AxisAttr{Axis: axis}, x, indices)
}

// ScatterAlong is the adjoint of TakeAlong on an axis of the given size.
func (b *Builder) ScatterAlong(y, indices ir.Value, axis, size int) ir.Value {
	return b.one("scatter_along", ScatterAttr{Axis: axis, Size: size}, y, indices)
}

// OneHot returns f32 vectors that are 1 at the places x and 0 elsewhere.
func (b *Builder) OneHot(x ir.Value, classes int) ir.Value {
	return b.one("one_hot", OneHotAttr{Classes: classes}, x)
}

// Sum adds x up over axes, or over all if none are given.
func (b *Builder) Sum(x ir.Value, keep bool, axes ...int) ir.Value {
	return b.one("reduce_sum", ReduceAttr{Axes: MakeInts(axes...), Keep: keep}, x)
}

// ReduceMax is the greatest element over axes, or over all.
func (b *Builder) ReduceMax(x ir.Value, keep bool, axes ...int) ir.Value {
	return b.one("reduce_max", ReduceAttr{Axes: MakeInts(axes...), Keep: keep}, x)
}

// ReduceMin is the least element over axes, or over all.
func (b *Builder) ReduceMin(x ir.Value, keep bool, axes ...int) ir.Value {
	return b.one("reduce_min", ReduceAttr{Axes: MakeInts(axes...), Keep: keep}, x)
}

// Mean is the mean over axes, or over all.
func (b *Builder) Mean(x ir.Value, keep bool, axes ...int) ir.Value {
	return b.one("reduce_mean", ReduceAttr{Axes: MakeInts(axes...), Keep: keep}, x)
}

// LogSumExp is log(sum(exp(x))) over axes, or over all.
func (b *Builder) LogSumExp(x ir.Value, keep bool, axes ...int) ir.Value {
	return b.one("log_sum_exp", ReduceAttr{Axes: MakeInts(axes...), Keep: keep}, x)
}

// CumSum adds up the elements so far along an axis.
func (b *Builder) CumSum(x ir.Value, axis int) ir.Value {
	return b.one("cumsum", AxisAttr{Axis: axis}, x)
}

// Softmax returns exp(x) / sum(exp(x)) along an axis.
func (b *Builder) Softmax(x ir.Value, axis int) ir.Value {
	return b.one("softmax", AxisAttr{Axis: axis}, x)
}

// LogSoftmax returns the logarithm of Softmax.
func (b *Builder) LogSoftmax(x ir.Value, axis int) ir.Value {
	return b.one("log_softmax", AxisAttr{Axis: axis}, x)
}

// Act applies an activation function with its default parameters.
func (b *Builder) Act(fn string, x ir.Value) ir.Value {
	return b.one("act", DefaultAct(fn), x)
}

// Pick returns row index[i] of x[i], with an axis of size 1 in its place.
func (b *Builder) Pick(x, index ir.Value) ir.Value { return b.one("pick", nil, x, index) }

// Count returns the product of dims as a scalar of x's element type.
func (b *Builder) Count(x ir.Value, dims ...ir.Dim) ir.Value {
	n := ir.D(1)
	for _, d := range dims {
		n = n.Mul(d)
	}
	if n.Known() {
		return b.Scalar(float64(n.N), x)
	}
	return b.Cast(b.Sum(b.Fill(1, ir.F32, n), false), x.Type().DType)
}

// wide returns x in f32 if it is narrower, so that formulas do not lose
// precision in between; narrow goes back.
func (b *Builder) wide(x ir.Value) ir.Value {
	if t := x.Type().DType; t == ir.BF16 || t == ir.F16 {
		return b.Cast(x, ir.F32)
	}
	return x
}

// sumTo reduces x, the gradient of a repeated tensor, to that tensor's shape.
func (b *Builder) sumTo(x ir.Value, shape []ir.Dim) ir.Value {
	if b.err != nil {
		return x
	}
	have := x.Type().Shape
	lead := len(have) - len(shape)
	var axes []int
	for i, d := range have {
		if i < lead || shape[i-lead] == ir.D(1) && d != ir.D(1) {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		return x
	}
	return b.Reshape(b.Sum(x, false, axes...), shape...)
}
