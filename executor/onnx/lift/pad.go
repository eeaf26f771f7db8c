package lift

import (
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

// pad adds elements, or takes some away where the number is below 0.
func pad(c *call) *value {
	x := c.in(0)
	n := x.typ.Rank()
	pads := c.list(1, "pads")
	var axes []int
	if v := c.given(3); v != nil {
		axes = c.whole(v, "axes")
	} else {
		for i := range n {
			axes = append(axes, i)
		}
	}
	if len(pads) != 2*len(axes) {
		fail("has %d pads for %d axes", len(pads), len(axes))
	}
	before, after := make([]int, n), make([]int, n)
	for i, a := range axes {
		a = c.axisOf(a, n)
		before[a], after[a] = pads[i], pads[i+len(axes)]
	}
	for i := range n {
		if before[i] < 0 || after[i] < 0 {
			d := x.typ.Shape[i]
			if !d.Known() || -min(before[i], 0)-min(after[i], 0) >= d.N {
				fail("takes away %d and %d elements of axis %d of %v", before[i], after[i], i, x.typ)
			}
			x = c.cutAxis(x, i, -min(before[i], 0), d.N+min(after[i], 0))
			before[i], after[i] = max(before[i], 0), max(after[i], 0)
		}
	}
	if slices.Max(append([]int{0}, append(before, after...)...)) == 0 {
		return x
	}
	how := c.text("mode", "constant")
	if how != "constant" {
		return c.padFrom(x, how, before, after)
	}
	value := c.float("value", 0)
	if v := c.given(2); v != nil {
		value = c.one(v, "value")
	}
	if x.typ.DType == ir.Bool {
		return c.cast(c.op("pad", op.PadAttr{Before: op.MakeInts(before...), After: op.MakeInts(after...), Value: short(value)}, c.cast(x, ir.I32)), ir.Bool)
	}
	return c.op("pad", op.PadAttr{Before: op.MakeInts(before...), After: op.MakeInts(after...), Value: max(-math.MaxFloat32, min(math.MaxFloat32, short(value)))}, x)
}

// padFrom takes what is added from x: its border, or what lies behind it.
func (c *call) padFrom(x *value, how string, before, after []int) *value {
	for a := range before {
		if before[a]+after[a] == 0 {
			continue
		}
		d := x.typ.Shape[a]
		if !d.Known() {
			c.wrong(errorf("adds elements to axis %d of %v, whose size is not known", a, x.typ))
		}
		if before[a] > maxFold || after[a] > maxFold || d.N > maxFold {
			fail("adds %d and %d elements to axis %d of %v", before[a], after[a], a, x.typ)
		}
		var nums []float64
		for i := -before[a]; i < d.N+after[a]; i++ {
			k := i
			switch how {
			case "edge":
				k = max(0, min(d.N-1, i))
			case "reflect":
				for d.N > 1 && (k < 0 || k >= d.N) {
					if k < 0 {
						k = -k
					} else {
						k = 2*(d.N-1) - k
					}
				}
				k = min(k, d.N-1)
			case "wrap":
				k = ((i % d.N) + d.N) % d.N
			default:
				fail("its mode is %s", onnx.Show(how))
			}
			nums = append(nums, float64(max(0, k)))
		}
		x = c.gatherAxis(x, vector(ir.I32, nums...), a)
	}
	return x
}
