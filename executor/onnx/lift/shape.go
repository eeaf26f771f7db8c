package lift

import (
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

func shapeRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{
		"Constant": single(constant), "Shape": single(shape), "Size": single(size), "Reshape": single(reshape), "Flatten": single(flatten),
		"Transpose": single(transpose), "Squeeze": single(squeeze), "Unsqueeze": single(unsqueeze), "Concat": single(concat),
		"Split": split, "Expand": single(expand), "Tile": single(tile), "ConstantOfShape": single(constantOfShape), "Range": single(rangeOf),
		"EyeLike": single(eyeLike), "DepthToSpace": single(depthToSpace), "SpaceToDepth": single(spaceToDepth), "Pad": single(pad),
	}
}

func constant(c *call) *value {
	for _, a := range c.n.Attributes {
		switch a.Name {
		case "value":
			if t := c.attr("value", onnx.Values); t != nil {
				return c.constantOf(t.Tensor)
			}
		case "value_float":
			return scalar(ir.F32, c.float(a.Name, 0))
		case "value_int":
			return scalar(ir.I32, float64(c.int(a.Name, 0)))
		case "value_floats":
			var nums []float64
			if list := c.attr(a.Name, onnx.Floats); list != nil {
				for _, x := range list.Floats {
					nums = append(nums, float64(x))
				}
			}
			return vector(ir.F32, nums...)
		case "value_ints":
			var nums []float64
			for _, x := range c.ints(a.Name) {
				nums = append(nums, float64(x))
			}
			return vector(ir.I32, nums...)
		}
	}
	fail("holds no number")
	return nil
}

// constantOf is a tensor that stands in an attribute.
func (c *call) constantOf(t *onnx.Tensor) *value {
	return c.constant(t, cmpOut(c.n))
}

func shape(c *call) *value {
	x := c.in(0)
	n := x.typ.Rank()
	bound := func(a int) int {
		if a < 0 {
			a += n
		}
		return max(0, min(n, a))
	}
	start, end := bound(c.int("start", 0)), bound(c.int("end", n))
	return shapeOf(x.typ.Shape[start:max(start, end)])
}

func size(c *call) *value {
	v := shapeOf([]ir.Dim{product(c.in(0).typ.Shape)})
	v.typ = v.typ.With()
	return v
}

// dims are the elements of a known value as sizes; -1 stays.
func (c *call) dims(v *value, name string) []ir.Dim {
	if !c.known(v) {
		fail("its %s follows from values of inputs, and must be known", name)
	}
	if v.typ.Rank() > 1 {
		fail("its %s has %d axes", name, v.typ.Rank())
	}
	var out []ir.Dim
	for i := range v.nums {
		out = append(out, v.dim(i))
	}
	return out
}

func reshape(c *call) *value {
	x := c.in(0)
	var to []ir.Dim
	if c.scope.opset < 5 {
		for _, n := range c.ints("shape") {
			to = append(to, ir.D(n))
		}
	} else {
		to = c.dims(c.in(1), "shape")
	}
	rest := -1
	for i, d := range to {
		switch {
		case d == ir.D(0) && c.int("allowzero", 0) == 0:
			if i >= x.typ.Rank() {
				fail("its shape keeps axis %d of %v", i, x.typ)
			}
			to[i] = x.typ.Shape[i]
		case d == ir.D(-1) && rest < 0:
			rest = i
		case d.N < 0:
			fail("its shape has a size of %v", d)
		}
	}
	if rest >= 0 {
		others := slices.Delete(slices.Clone(to), rest, rest+1)
		q, ok := product(x.typ.Shape).Div(product(others))
		if !ok {
			c.wrong(errorf("the elements of %v do not divide by those of %s", x.typ, ir.ShapeString(others)))
		}
		to[rest] = q
	}
	return c.reshape(x, to...)
}

func flatten(c *call) *value {
	x := c.in(0)
	a := c.int("axis", 1)
	if a != x.typ.Rank() {
		a = c.axisOf(a, x.typ.Rank())
	}
	return c.reshape(x, product(x.typ.Shape[:a]), product(x.typ.Shape[a:]))
}

func transpose(c *call) *value {
	x := c.in(0)
	perm := c.ints("perm")
	if perm == nil {
		for i := range x.typ.Shape {
			perm = append([]int{i}, perm...)
		}
	}
	if sorted := c.axesOf(perm, x.typ.Rank()); len(sorted) != x.typ.Rank() {
		fail("its perm is %v for %d axes", perm, x.typ.Rank())
	}
	for i, p := range perm {
		perm[i] = c.axisOf(p, x.typ.Rank())
	}
	return c.transpose(x, perm...)
}

func squeeze(c *call) *value {
	x := c.in(0)
	list := c.list(1, "axes")
	if list == nil {
		for i, d := range x.typ.Shape {
			if d == ir.D(1) {
				list = append(list, i)
			}
		}
	}
	axes := c.axesOf(list, x.typ.Rank())
	for _, a := range axes {
		if x.typ.Shape[a] != ir.D(1) {
			c.wrong(errorf("axis %d of %v is not 1", a, x.typ))
		}
	}
	return c.reshape(x, without(x.typ.Shape, axes)...)
}

func unsqueeze(c *call) *value {
	x := c.in(0)
	list := c.list(1, "axes")
	n := x.typ.Rank() + len(list)
	axes, from := c.axesOf(list, n), x.typ.Shape
	var to []ir.Dim
	for i := range n {
		if slices.Contains(axes, i) {
			to = append(to, ir.D(1))
		} else {
			to, from = append(to, from[0]), from[1:]
		}
	}
	return c.reshape(x, to...)
}

func concat(c *call) *value {
	all := c.all()
	a := c.axis(all[0], "axis", 1)
	var vs []*value
	for _, v := range all {
		if v.typ.Rank() <= a || v.typ.Shape[a] != ir.D(0) {
			vs = append(vs, v)
		}
	}
	if len(vs) == 0 {
		return all[0]
	}
	return c.concat(a, vs...)
}

func split(c *call) []*value {
	x := c.in(0)
	a := c.axis(x, "axis", 0)
	sizes := c.list(1, "split")
	if sizes == nil {
		parts := c.int("num_outputs", len(c.n.Out))
		if !x.typ.Shape[a].Known() {
			c.wrong(errorf("axis %d of %v is cut into %d", a, x.typ, parts))
		}
		n := x.typ.Shape[a].N
		if parts <= 0 || parts > n {
			fail("cuts %d elements into %d parts", n, parts)
		}
		each := (n + parts - 1) / parts
		for at := 0; at < n; at += each {
			sizes = append(sizes, min(each, n-at))
		}
	}
	var out []*value
	at := 0
	for _, n := range sizes {
		if n < 0 || n > math.MaxInt32-at {
			fail("has a part of %d elements", n)
		}
		out = append(out, c.cutAxis(x, a, at, at+n))
		at += n
	}
	if x.typ.Shape[a] != ir.D(at) {
		fail("has parts of %d elements of %v", at, x.typ.Shape[a])
	}
	return out
}
