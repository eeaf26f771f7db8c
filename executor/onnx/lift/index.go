package lift

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

func indexRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{
		"Gather": single(gather), "GatherElements": single(gatherElements), "GatherND": single(gatherND), "Slice": single(slice), "OneHot": single(oneHot),
		"Trilu": single(trilu),
	}
}

// fromEnd turns indices below 0 into those that count from the start.
func (c *call) fromEnd(idx *value, n ir.Dim) *value {
	if c.numeric(idx) {
		if !slices.ContainsFunc(idx.nums, func(x float64) bool { return x < 0 }) {
			return idx
		}
		if n.Known() {
			nums := slices.Clone(idx.nums)
			for i, x := range nums {
				if x < 0 {
					nums[i] = x + float64(n.N)
				}
			}
			return &value{typ: idx.typ, nums: nums}
		}
	}
	count := shapeOf([]ir.Dim{n})
	count.typ = count.typ.With()
	return c.op("select", nil, c.op("lt", nil, idx, like(idx, 0)), c.add(idx, count), idx)
}

// inRange refuses known indices beyond an axis of a known size.
func (c *call) inRange(idx *value, n ir.Dim) {
	if !n.Known() || !c.numeric(idx) {
		return
	}
	for _, x := range idx.nums {
		if x < 0 || x >= float64(n.N) {
			fail("index %v is out of range for %d elements", x, n.N)
		}
	}
}

// gather takes rows of a table by an embedding, one place of a known axis by a
// slice, and else what the op of the name does.
func gather(c *call) *value {
	x, idx := c.in(0), c.in(1)
	a := c.axis(x, "axis", 0)
	if idx.typ.DType != ir.I32 {
		fail("its indices are %v", idx.typ)
	}
	if a == 0 && x.typ.Rank() == 2 && c.constantFloats(x) && !c.known(idx) {
		at := op.EmbeddingAttr{Vocab: x.typ.Shape[0].N, Dim: x.typ.Shape[1].N}
		return c.params("embedding", at, c.prefix([]string{"weight"}, x), []string{"weight"}, []*value{idx}, x)
	}
	idx = c.fromEnd(idx, x.typ.Shape[a])
	c.inRange(idx, x.typ.Shape[a])
	if c.numeric(idx) && idx.typ.Rank() == 0 && x.typ.Shape[a].Known() && !c.known(x) {
		i := int(idx.nums[0])
		return c.reshape(c.cutAxis(x, a, i, i+1), without(x.typ.Shape, []int{a})...)
	}
	return c.gatherAxis(x, idx, a)
}

// gatherAxis is the op gather; truth values pass as numbers.
func (c *call) gatherAxis(x, idx *value, a int) *value {
	d := x.typ.DType
	return c.cast(c.op("gather", op.AxisAttr{Axis: a}, c.plainNumbers(x), idx), d)
}

func gatherElements(c *call) *value {
	x, idx := c.in(0), c.in(1)
	a := c.axis(x, "axis", 0)
	idx = c.fromEnd(idx, x.typ.Shape[a])
	c.inRange(idx, x.typ.Shape[a])
	for i, d := range idx.typ.Shape { // only the first elements of other axes
		if i < x.typ.Rank() && i != a && d != x.typ.Shape[i] && d.Known() && x.typ.Shape[i].Known() && d.N < x.typ.Shape[i].N {
			x = c.cutAxis(x, i, 0, d.N)
		}
	}
	return c.cast(c.op("take_along", op.AxisAttr{Axis: a}, c.plainNumbers(x), idx), x.typ.DType)
}

// gatherND takes slices by tuples of indices: the axes that they name become one,
// in which a tuple is one number.
func gatherND(c *call) *value {
	x, idx := c.in(0), c.in(1)
	if c.int("batch_dims", 0) != 0 {
		fail("batch_dims is not imported")
	}
	n := idx.typ.Rank()
	if n == 0 || !idx.typ.Shape[n-1].Known() || idx.typ.Shape[n-1].N < 1 || idx.typ.Shape[n-1].N > x.typ.Rank() {
		fail("its indices are %v", idx.typ)
	}
	k := idx.typ.Shape[n-1].N
	var flat *value
	for i := range k {
		part := c.reshape(c.cutAxis(idx, n-1, i, i+1), idx.typ.Shape[:n-1]...)
		part = c.fromEnd(part, x.typ.Shape[i])
		if flat == nil {
			flat = part
			continue
		}
		count := shapeOf([]ir.Dim{x.typ.Shape[i]})
		count.typ = count.typ.With()
		flat = c.add(c.mul(flat, count), part)
	}
	x = c.reshape(x, append([]ir.Dim{product(x.typ.Shape[:k])}, x.typ.Shape[k:]...)...)
	return c.gatherAxis(x, flat, 0)
}

func oneHot(c *call) *value {
	idx, depth, values := c.in(0), int(c.one(c.in(1), "depth")), c.in(2)
	a := c.int("axis", -1)
	n := idx.typ.Rank() + 1
	a = c.axisOf(a, n)
	if depth <= 0 || depth > maxFold {
		fail("its depth is %d", depth)
	}
	idx = c.cast(idx, ir.I32)
	y := c.op("one_hot", op.OneHotAttr{Classes: depth}, c.fromEnd(idx, ir.D(depth)))
	if a != n-1 {
		var perm []int
		for i := range n - 1 {
			perm = append(perm, i)
		}
		y = c.transpose(y, slices.Insert(perm, a, n-1)...)
	}
	off := c.reshape(c.cutAxis(values, 0, 0, 1))
	on := c.reshape(c.cutAxis(values, 0, 1, 2))
	return c.op("select", nil, c.op("gt", nil, y, like(y, 0.5)), on, off)
}

// trilu keeps what lies on one side of a diagonal.
func trilu(c *call) *value {
	x := c.in(0)
	n := x.typ.Rank()
	if n < 2 {
		fail("its input is %v, want a matrix", x.typ)
	}
	k := scalar(ir.I32, 0)
	if v := c.given(1); v != nil {
		k = scalar(ir.I32, c.one(v, "k"))
	}
	rows, cols := c.grid(0, x.typ.Shape[n-2], ir.D(1)), c.grid(1, ir.D(1), x.typ.Shape[n-1])
	name := "ge"
	if c.int("upper", 1) == 0 {
		name = "le"
	}
	keep := c.op(name, nil, cols, c.add(rows, k))
	d := x.typ.DType
	x = c.plainNumbers(x)
	return c.cast(c.op("select", nil, keep, x, like(x, 0)), d)
}
