package lift

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

func reduceRows() map[string]func(c *call) []*value {
	self := func(c *call, x *value) *value { return x }
	square := func(c *call, x *value) *value { return c.mul(x, x) }
	abs := func(c *call, x *value) *value { return c.op("abs", nil, x) }
	rows := map[string]func(c *call) []*value{
		"ReduceSum": reduce("reduce_sum", self, self), "ReduceMean": reduce("reduce_mean", self, self), "ReduceMax": reduce("reduce_max", self, self),
		"ReduceMin": reduce("reduce_min", self, self), "ReduceLogSumExp": reduce("log_sum_exp", self, self), "ReduceSumSquare": reduce("reduce_sum", square, self),
		"ReduceL1": reduce("reduce_sum", abs, self), "ReduceL2": reduce("reduce_sum", square, func(c *call, x *value) *value { return c.op("sqrt", nil, x) }),
		"ReduceLogSum": reduce("reduce_sum", self, func(c *call, x *value) *value { return c.op("log", nil, x) }), "ReduceProd": single(reduceProd),
		"ArgMax": argOf(self), "ArgMin": argOf(func(c *call, x *value) *value { return c.op("neg", nil, x) }),
		"Softmax": softmax("softmax"), "LogSoftmax": softmax("log_softmax"), "Hardmax": single(hardmax), "CumSum": single(cumSum), "TopK": topK,
	}
	return rows
}

// reduced are the axes that a reduction removes; none if it does nothing.
func (c *call) reduced(x *value) (axes []int, any bool) {
	list := c.list(1, "axes")
	if len(list) == 0 {
		if c.int("noop_with_empty_axes", 0) != 0 {
			return nil, false
		}
		for i := range x.typ.Shape {
			list = append(list, i)
		}
	}
	return c.axesOf(list, x.typ.Rank()), true
}

func reduce(name string, before, after func(c *call, x *value) *value) func(c *call) []*value {
	return single(func(c *call) *value {
		x := before(c, c.in(0))
		axes, any := c.reduced(x)
		if any && len(axes) > 0 {
			d := x.typ.DType
			x = c.floats(x)
			x = c.cast(c.op(name, op.ReduceAttr{Axes: op.MakeInts(axes...), Keep: c.int("keepdims", 1) != 0}, x), d)
		}
		return after(c, x)
	})
}

// reduceProd multiplies the elements of an axis one after the other.
func reduceProd(c *call) *value {
	x := c.in(0)
	axes, any := c.reduced(x)
	if !any {
		return x
	}
	keep := c.int("keepdims", 1) != 0
	shape := x.typ.Shape
	for _, a := range axes {
		n := x.typ.Shape[a]
		if !n.Known() || n.N > maxSteps || n.N < 1 {
			c.wrong(errorf("multiplies %v elements", n))
		}
		y := c.cutAxis(x, a, 0, 1)
		for i := 1; i < n.N; i++ {
			y = c.mul(y, c.cutAxis(x, a, i, i+1))
		}
		x = y
	}
	if keep {
		return x
	}
	return c.reshape(x, without(shape, axes)...)
}

func argOf(of func(c *call, x *value) *value) func(c *call) []*value {
	return single(func(c *call) *value {
		x := c.in(0)
		a := c.axis(x, "axis", 0)
		if c.int("select_last_index", 0) != 0 {
			fail("select_last_index is not imported")
		}
		y := c.op("argmax", op.AxisAttr{Axis: a}, of(c, x))
		if c.int("keepdims", 1) == 0 {
			return y
		}
		shape := slices.Clone(x.typ.Shape)
		shape[a] = ir.D(1)
		return c.reshape(y, shape...)
	})
}

// softmax is over one axis, before opset 13 over all from it on.
func softmax(name string) func(c *call) []*value {
	return single(func(c *call) *value {
		x := c.in(0)
		if c.scope.opset >= 13 {
			return c.op(name, op.AxisAttr{Axis: c.axis(x, "axis", -1)}, x)
		}
		a := c.axis(x, "axis", 1)
		y := c.reshape(x, append(slices.Clone(x.typ.Shape[:a]), product(x.typ.Shape[a:]))...)
		return c.reshape(c.op(name, op.AxisAttr{Axis: -1}, y), x.typ.Shape...)
	})
}

func hardmax(c *call) *value {
	x := c.in(0)
	a := c.axis(x, "axis", -1)
	n := x.typ.Rank()
	if a != n-1 || !x.typ.Shape[a].Known() {
		fail("is not over the last axis, or that has no known size: %v", x.typ)
	}
	return c.op("one_hot", op.OneHotAttr{Classes: x.typ.Shape[a].N}, c.op("argmax", op.AxisAttr{Axis: a}, x))
}

func cumSum(c *call) *value {
	x := c.in(0)
	a := c.axisOf(int(c.one(c.in(1), "axis")), x.typ.Rank())
	if c.int("reverse", 0) != 0 {
		fail("reverse is not imported")
	}
	d := x.typ.DType
	f := c.floats(x)
	y := c.op("cumsum", op.AxisAttr{Axis: a}, f)
	if c.int("exclusive", 0) != 0 {
		y = c.sub(y, f)
	}
	return c.cast(y, d)
}

func topK(c *call) []*value {
	x := c.in(0)
	a := c.axis(x, "axis", -1)
	k := c.int("k", 0)
	if c.scope.opset >= 10 {
		k = int(c.one(c.in(1), "k"))
	}
	n := x.typ.Rank()
	if a != n-1 {
		fail("is not over the last axis of %v", x.typ)
	}
	small := c.int("largest", 1) == 0
	if small {
		x = c.op("neg", nil, x)
	}
	out := c.ops("topk", op.TopKAttr{K: k}, x)
	if small {
		out[0] = c.op("neg", nil, out[0])
	}
	return out
}
