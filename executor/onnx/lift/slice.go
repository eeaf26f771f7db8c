package lift

import (
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// bounds are what a slice takes of each axis.
type bounds struct {
	axis       int
	start, end number
	step       int
}

func slice(c *call) *value {
	x := c.in(0)
	for _, b := range c.bounds(x) {
		x = c.sliced(x, b)
	}
	return x
}

func (c *call) bounds(x *value) []bounds {
	if c.scope.opset < 10 {
		starts, ends, axes := c.ints("starts"), c.ints("ends"), c.ints("axes")
		var out []bounds
		for i := range starts {
			a := i
			if i < len(axes) {
				a = axes[i]
			}
			if i >= len(ends) {
				fail("has fewer ends than starts")
			}
			out = append(out, bounds{c.axisOf(a, x.typ.Rank()), number{n: float64(starts[i])}, number{n: float64(ends[i])}, 1})
		}
		return out
	}
	starts, ends := c.in(1), c.in(2)
	if !c.known(starts) || !c.known(ends) {
		fail("its bounds follow from values of inputs, and must be known")
	}
	axes, steps := c.list(3, "axes"), c.list(4, "steps")
	var out []bounds
	for i := range starts.nums {
		b := bounds{axis: i, start: starts.number(i), step: 1}
		if i >= len(ends.nums) || axes != nil && i >= len(axes) || steps != nil && i >= len(steps) {
			fail("has %d starts, and fewer ends, axes or steps", len(starts.nums))
		}
		b.end = ends.number(i)
		if axes != nil {
			b.axis = axes[i]
		}
		if steps != nil {
			b.step = steps[i]
		}
		b.axis = c.axisOf(b.axis, x.typ.Rank())
		if b.step == 0 {
			fail("has a step of 0")
		}
		out = append(out, b)
	}
	return out
}

func (v *value) number(i int) number {
	if v.dims != nil && v.dims[i] != (ir.Dim{}) {
		return number{d: v.dims[i]}
	}
	return number{n: v.nums[i]}
}

// sliced takes a part of one axis.
func (c *call) sliced(x *value, b bounds) *value {
	d := x.typ.Shape[b.axis]
	toEnd := !b.end.named() && b.end.n >= math.MaxInt32 || b.end.named() && b.end.d == d || d.Known() && !b.end.named() && b.end.n >= float64(d.N)
	fromStart := !b.start.named() && b.start.n == 0
	switch {
	case fromStart && toEnd && b.step == 1:
		return x
	case d.Known() && !b.start.named() && !b.end.named():
		return c.slicedKnown(x, b.axis, d.N, int(b.start.n), int(clamped(b.end.n)), b.step)
	case fromStart && b.end.named() && b.step == 1 && c.counts(x, b.axis): // 0, 1, 2 ... of a table of positions
		shape := slices.Clone(x.typ.Shape)
		shape[b.axis] = b.end.d
		return c.reshape(c.grid(0, b.end.d), shape...)
	case fromStart && b.end.named() && b.step == 1: // the first, as many as a size that is known later
		return c.gatherAxis(x, c.grid(0, b.end.d), b.axis)
	case !b.start.named() && !b.end.named() && b.step == 1 && b.start.n >= 0 && b.end.n > b.start.n && !toEnd:
		idx := numbersOf(ir.I32, []int{int(b.end.n - b.start.n)})
		for i := b.start.n; i < b.end.n; i++ {
			idx.nums = append(idx.nums, i)
		}
		return c.gatherAxis(x, idx, b.axis)
	case !b.start.named() && b.start.n < 0 && b.step == 1 && (toEnd || !b.end.named() && b.end.n <= 0 && b.end.n > b.start.n): // the last
		end := b.end.n
		if toEnd {
			end = 0
		}
		idx := numbersOf(ir.I32, []int{int(end - b.start.n)})
		for i := b.start.n; i < end; i++ {
			idx.nums = append(idx.nums, i)
		}
		return c.gatherAxis(x, c.fromEnd(idx, d), b.axis)
	}
	c.wrong(errorf("takes a part of axis %d of %v whose size is not known", b.axis, x.typ))
	return nil
}

// counts reports whether x is 0, 1, 2 ... along its only axis of more than one element.
func (c *call) counts(x *value, axis int) bool {
	if x.typ.DType != ir.I32 || !c.numeric(x) || x.typ.Shape[axis] != ir.D(len(x.nums)) {
		return false
	}
	for i, n := range x.nums {
		if n != float64(i) {
			return false
		}
	}
	return true
}

// slicedKnown is x[start:end:step] by the rules of Python.
func (c *call) slicedKnown(x *value, axis, n, start, end, step int) *value {
	bound := func(i, low, high int) int {
		if i < 0 {
			i += n
		}
		return max(low, min(high, i))
	}
	if step > 0 {
		start, end = bound(start, 0, n), bound(end, 0, n)
		if end <= start {
			return c.empty(x, axis)
		}
		if step == 1 {
			return c.cutAxis(x, axis, start, end)
		}
		return c.op("slice", op.SliceAttr{Axis: axis, Start: start, Stop: end, Step: step}, x)
	}
	start, end = bound(start, -1, n-1), bound(end, -1, n-1)
	idx := numbersOf(ir.I32, []int{0})
	for i := start; i > end; i += step {
		idx.nums = append(idx.nums, float64(i))
	}
	if len(idx.nums) == 0 {
		return c.empty(x, axis)
	}
	idx.typ = ir.T(ir.I32, len(idx.nums))
	return c.gatherAxis(x, idx, axis)
}

// empty is nothing of x along an axis: only known values can be that.
func (c *call) empty(x *value, axis int) *value {
	v := &value{typ: x.typ.With(slices.Clone(x.typ.Shape)...), nums: []float64{}}
	v.typ.Shape[axis] = ir.D(0)
	return v
}
