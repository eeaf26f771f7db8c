package lift

import (
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

// together is the shape that two shapes repeat to.
func (c *call) together(a, b []ir.Dim) []ir.Dim {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		switch k := i + len(a) - len(b); {
		case out[k] == ir.D(1):
			out[k] = d
		case d != ir.D(1) && d != out[k]:
			c.wrong(errorf("%s and %s do not repeat to one shape", ir.ShapeString(a), ir.ShapeString(b)))
		}
	}
	return out
}

func expand(c *call) *value {
	x := c.in(0)
	return c.broadcast(x, c.together(x.typ.Shape, c.dims(c.in(1), "shape"))...)
}

// tile repeats: each axis with one of the number of copies before it.
func tile(c *call) *value {
	x := c.in(0)
	times := c.dims(c.in(1), "repeats")
	if len(times) != x.typ.Rank() {
		fail("has %d repeats for %d axes", len(times), x.typ.Rank())
	}
	var one, many, to []ir.Dim
	for i, d := range x.typ.Shape {
		if times[i].N <= 0 {
			fail("repeats an axis %v times", times[i])
		}
		if times[i] != ir.D(1) {
			one, many = append(one, ir.D(1)), append(many, times[i])
		}
		one, many, to = append(one, d), append(many, d), append(to, d.Mul(times[i]))
	}
	return c.reshape(c.broadcast(c.reshape(x, one...), many...), to...)
}

func constantOfShape(c *call) *value {
	dims := c.dims(c.in(0), "shape")
	v := scalar(ir.F32, 0)
	if a := c.attr("value", onnx.Values); a != nil {
		v = c.constantOf(a.Tensor)
		if !c.known(v) || len(v.nums) != 1 {
			fail("its value has %v elements", v.typ.Len())
		}
		v = scalar(v.typ.DType, v.nums[0])
	}
	for _, d := range dims {
		if d.N < 0 {
			fail("its shape has a size of %v", d)
		}
	}
	return c.filled(v, dims...)
}

// filled is a number everywhere.
func (l *lifter) filled(v *value, dims ...ir.Dim) *value {
	if v.typ.DType == ir.Bool {
		return l.cast(l.filled(scalar(ir.I32, v.nums[0]), dims...), ir.Bool)
	}
	return l.op("fill", op.FillAttr{DType: v.typ.DType.String(), Shape: op.MakeDims(dims...), Value: short(v.nums[0])})
}

// rangeOf counts from a start by a step, as often as is known.
func rangeOf(c *call) *value {
	start, limit, step := c.in(0), c.in(1), c.in(2)
	if !c.known(start) || !c.known(limit) || !c.numeric(step) || len(start.nums) != 1 || len(limit.nums) != 1 || len(step.nums) != 1 {
		fail("its bounds follow from values of inputs, and must be known")
	}
	var n ir.Dim
	if start.dims == nil && limit.dims == nil {
		steps := math.Ceil((limit.nums[0] - start.nums[0]) / step.nums[0])
		if !(steps <= math.MaxInt32) {
			fail("counts from %v to %v by %v", start.nums[0], limit.nums[0], step.nums[0])
		}
		if steps <= 0 {
			return vector(start.typ.DType)
		}
		n = ir.D(int(steps))
	} else {
		length := c.sub(limit, start)
		if !c.known(length) || step.nums[0] != 1 {
			c.wrong(errorf("counts over a size that is not known"))
		}
		n = length.dim(0)
	}
	d := start.typ.DType
	x := c.op("iota", op.IotaAttr{DType: d.String(), Shape: op.MakeDims(n)})
	if step.nums[0] != 1 {
		x = c.mul(x, like(x, step.nums[0]))
	}
	if start.dims == nil && start.nums[0] == 0 {
		return x
	}
	return c.add(x, start)
}

// grid counts along an axis of a matrix.
func (l *lifter) grid(axis int, dims ...ir.Dim) *value {
	return l.op("iota", op.IotaAttr{DType: "i32", Shape: op.MakeDims(dims...), Axis: axis})
}

func eyeLike(c *call) *value {
	x := c.in(0)
	c.rank(x, "input", 2)
	k := float64(c.int("k", 0))
	rows, cols := c.grid(0, x.typ.Shape[0], ir.D(1)), c.grid(1, ir.D(1), x.typ.Shape[1])
	d := x.typ.DType
	if c.n.Attribute("dtype") != nil {
		d = c.elementType("dtype", 1)
	}
	return c.cast(c.op("eq", nil, c.add(rows, scalar(ir.I32, k)), cols), d)
}

func depthToSpace(c *call) *value {
	x := c.in(0)
	c.rank(x, "input", 4)
	s, b := x.typ.Shape, ir.D(c.int("blocksize", 0))
	depth, ok := s[1].Div(b.Mul(b))
	if !ok {
		fail("its block size %v does not divide the channels of %v", b, x.typ)
	}
	if c.text("mode", "DCR") == "CRD" {
		x = c.transpose(c.reshape(x, s[0], depth, b, b, s[2], s[3]), 0, 1, 4, 2, 5, 3)
	} else {
		x = c.transpose(c.reshape(x, s[0], b, b, depth, s[2], s[3]), 0, 3, 4, 1, 5, 2)
	}
	return c.reshape(x, s[0], depth, s[2].Mul(b), s[3].Mul(b))
}

func spaceToDepth(c *call) *value {
	x := c.in(0)
	c.rank(x, "input", 4)
	s, b := x.typ.Shape, ir.D(c.int("blocksize", 0))
	h, ok1 := s[2].Div(b)
	w, ok2 := s[3].Div(b)
	if !ok1 || !ok2 {
		fail("its block size %v does not divide the sizes of %v", b, x.typ)
	}
	x = c.transpose(c.reshape(x, s[0], s[1], h, b, w, b), 0, 3, 5, 1, 2, 4)
	return c.reshape(x, s[0], b.Mul(b).Mul(s[1]), h, w)
}
