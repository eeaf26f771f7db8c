package lift

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

func convRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{
		"Conv": single(conv), "ConvTranspose": single(convTranspose), "Col2Im": single(windows), "MaxPool": maxPool, "AveragePool": single(averagePool),
		"GlobalAveragePool": globalPool("reduce_mean"), "GlobalMaxPool": globalPool("reduce_max"), "Resize": single(resize), "Upsample": single(resize),
	}
}

// spatial is the number of axes behind batch and channels.
func (c *call) spatial(x *value) int {
	n := x.typ.Rank() - 2
	if n < 1 || n > 3 {
		fail("its input is %v, want 1 to 3 axes behind batch and channels", x.typ)
	}
	return n
}

// geometry is what convolutions and pools share.
type geometry struct {
	kernel, stride, dilation, pads []int
}

func (c *call) geometry(x *value, kernel []int) geometry {
	n := c.spatial(x)
	g := geometry{kernel: kernel}
	if k := c.ints("kernel_shape"); k != nil {
		if kernel != nil && !slices.Equal(k, kernel) {
			fail("kernel_shape is %v, and its weight has %v", k, kernel)
		}
		g.kernel = k
	}
	if len(g.kernel) != n {
		fail("its kernel has %d axes for %d", len(g.kernel), n)
	}
	g.stride, g.dilation = c.perAxis("strides", n, n, 1), c.perAxis("dilations", n, n, 1)
	switch auto := c.text("auto_pad", "NOTSET"); auto {
	case "NOTSET":
		g.pads = c.perAxis("pads", n, 2*n, 0)
	case "VALID":
		g.pads = slices.Repeat([]int{0}, 2*n)
	case "SAME_UPPER", "SAME_LOWER":
		g.pads = c.samePads(x, g, auto == "SAME_LOWER")
	default:
		fail("auto_pad is %s", onnx.Show(auto))
	}
	return g
}

// perAxis is an attribute of numbers for n axes, size in all, or as many of fallback.
func (c *call) perAxis(name string, n, size, fallback int) []int {
	l := c.ints(name)
	if l == nil {
		l = slices.Repeat([]int{fallback}, size)
	}
	if len(l) != size {
		fail("%s has %d entries for %d axes", name, len(l), n)
	}
	return l
}

// samePads is as much as gives size/stride positions, rounded up.
func (c *call) samePads(x *value, g geometry, lower bool) []int {
	n := len(g.kernel)
	pads := make([]int, 2*n)
	for i := range n {
		d := x.typ.Shape[2+i]
		if !d.Known() {
			c.wrong(errorf("pads %v as much as its size asks for, which is not known", x.typ))
		}
		if g.stride[i] < 1 {
			fail("has a stride of %d", g.stride[i])
		}
		out := (d.N + g.stride[i] - 1) / g.stride[i]
		total := max(0, (out-1)*g.stride[i]+g.dilation[i]*(g.kernel[i]-1)+1-d.N)
		pads[i], pads[n+i] = total/2, total-total/2
		if lower {
			pads[i], pads[n+i] = pads[n+i], pads[i]
		}
	}
	return pads
}

// short1 is a list of one number, if all are the same.
func short1(l []int) op.Ints {
	for _, n := range l {
		if n != l[0] {
			return op.MakeInts(l...)
		}
	}
	return op.MakeInts(l[:1]...)
}

// padding is that of both sides, if it is the same.
func padding(pads []int) op.Ints {
	n := len(pads) / 2
	if slices.Equal(pads[:n], pads[n:]) {
		return short1(pads[:n])
	}
	return op.MakeInts(pads...)
}

// weightSizes are the sizes of a weight, which must be a constant.
func (c *call) weightSizes(w *value, x *value) []int {
	if !c.constantFloats(w) {
		fail("its weight is no constant")
	}
	c.rank(w, "weight", x.typ.Rank())
	return w.typ.Sizes()
}

func conv(c *call) *value {
	x, w, bias := c.in(0), c.in(1), c.given(2)
	sizes := c.weightSizes(w, x)
	g := c.geometry(x, sizes[2:])
	at := op.ConvLayerAttr{OutChannels: sizes[0], Kernel: short1(g.kernel), Stride: short1(g.stride), Padding: padding(g.pads), Dilation: short1(g.dilation),
		Groups: c.int("group", 1), Bias: bias != nil}
	if bias != nil && !c.constantFloats(bias) {
		fail("its bias is no constant")
	}
	names := []string{"weight", "bias"}
	return c.params(fmt.Sprintf("conv%dd", c.spatial(x)), at, c.prefix(names, w, bias), names, []*value{x}, w, bias)
}

func convTranspose(c *call) *value {
	x, w, bias := c.in(0), c.in(1), c.given(2)
	sizes := c.weightSizes(w, x)
	if c.ints("output_shape") != nil || c.text("auto_pad", "NOTSET") != "NOTSET" && c.text("auto_pad", "NOTSET") != "VALID" {
		fail("output_shape and auto_pad are not imported")
	}
	g := c.geometry(x, sizes[2:])
	groups := c.int("group", 1)
	if groups < 1 || bias != nil && !c.constantFloats(bias) {
		fail("has %d groups, or a bias that is no constant", groups)
	}
	at := op.ConvTransposeLayerAttr{OutChannels: sizes[1] * groups, Kernel: short1(g.kernel), Stride: short1(g.stride), Padding: padding(g.pads),
		OutputPadding: "0", Dilation: short1(g.dilation), Groups: groups, Bias: bias != nil}
	if more := c.ints("output_padding"); len(more) > 0 {
		at.OutputPadding = short1(more)
	}
	names := []string{"weight", "bias"}
	return c.params(fmt.Sprintf("conv_transpose%dd", c.spatial(x)), at, c.prefix(names, w, bias), names, []*value{x}, w, bias)
}

func maxPool(c *call) []*value {
	c.only(1)
	x := c.in(0)
	g := c.geometry(x, nil)
	at := op.MaxPoolAttr{Kernel: short1(g.kernel), Stride: short1(g.stride), Padding: padding(g.pads), Dilation: short1(g.dilation), Ceil: c.int("ceil_mode", 0) != 0}
	return []*value{c.op(fmt.Sprintf("max_pool%dd", c.spatial(x)), at, x)}
}

func averagePool(c *call) *value {
	x := c.in(0)
	g := c.geometry(x, nil)
	if slices.Max(g.dilation) > 1 {
		fail("dilations are not imported")
	}
	at := op.AvgPoolAttr{Kernel: short1(g.kernel), Stride: short1(g.stride), Padding: padding(g.pads), Ceil: c.int("ceil_mode", 0) != 0,
		CountIncludePad: c.int("count_include_pad", 0) != 0}
	if slices.Max(g.pads) == 0 && !at.Ceil {
		at.CountIncludePad = true // there is nothing to count
	}
	return c.op(fmt.Sprintf("avg_pool%dd", c.spatial(x)), at, x)
}

func globalPool(name string) func(c *call) []*value {
	return single(func(c *call) *value {
		x := c.in(0)
		var axes []int
		for i := range c.spatial(x) {
			axes = append(axes, i+2)
		}
		return c.op(name, op.ReduceAttr{Axes: op.MakeInts(axes...), Keep: true}, x)
	})
}

// resize is an interpolation of the axes behind batch and channels.
func resize(c *call) *value {
	x := c.in(0)
	n := c.spatial(x)
	to := c.resized(x)
	if slices.Equal(to, x.typ.Sizes()) && x.typ.Known() {
		return x
	}
	at := op.InterpolateAttr{Size: op.MakeInts(to[2:]...)}
	how, where := c.text("mode", "nearest"), c.text("coordinate_transformation_mode", "half_pixel")
	if c.n.Op == "Upsample" {
		where = "asymmetric"
	}
	round := c.text("nearest_mode", "round_prefer_floor")
	exact := true // whole multiples: the centre of a pixel is never on a border
	for i := range n {
		exact = exact && to[2+i]%x.typ.Shape[2+i].N == 0
	}
	switch {
	case how == "nearest" && where == "asymmetric" && (round == "floor" || c.n.Op == "Upsample"):
		at.Mode = "nearest"
	case how == "nearest" && exact && (where == "half_pixel" || where == "pytorch_half_pixel" || where == "asymmetric" && round == "floor"):
		at.Mode = "nearest"
	case how == "linear" && (where == "half_pixel" || where == "pytorch_half_pixel"):
		at.Mode, at.Antialias = "linear", c.int("antialias", 0) != 0
	case how == "linear" && where == "align_corners":
		at.Mode, at.AlignCorners = "linear", true
	case how == "cubic" && c.float("cubic_coeff_a", -0.75) == -0.75 && c.int("exclude_outside", 0) == 0 && (where == "half_pixel" || where == "pytorch_half_pixel"):
		at.Mode = "cubic"
	case how == "cubic" && c.float("cubic_coeff_a", -0.75) == -0.75 && where == "align_corners":
		at.Mode, at.AlignCorners = "cubic", true
	default:
		fail("mode %s with coordinates %s, rounded by %s, is not imported", onnx.Show(how), onnx.Show(where), onnx.Show(round))
	}
	return c.op("interpolate", at, x)
}

// resized is the shape that a resize asks for; only axes behind batch and channels
// may change.
func (c *call) resized(x *value) []int {
	rank := x.typ.Rank()
	scales, sizes := c.given(1), (*value)(nil)
	if c.n.Op == "Resize" && c.scope.opset >= 11 {
		scales, sizes = c.given(2), c.given(3)
	}
	axes := c.ints("axes")
	if axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	for i := 2; i < rank; i++ {
		if !x.typ.Shape[i].Known() {
			c.wrong(errorf("resizes %v, whose size is not known", x.typ))
		}
	}
	to := x.typ.Sizes()
	set := func(i int, d ir.Dim) {
		a := c.axisOf(axes[i], rank)
		if a < 2 && d != x.typ.Shape[a] && x.typ.Shape[a].Known() {
			fail("resizes axis %d of %v", a, x.typ)
		}
		if d.N < 1 || !d.Known() && a >= 2 {
			c.wrong(errorf("resizes axis %d of %v to %v", a, x.typ, d))
		}
		to[a] = d.N
	}
	switch {
	case sizes != nil && sizes.typ.Len() != ir.D(0):
		dims := c.dims(sizes, "sizes")
		if len(dims) != len(axes) {
			fail("has %d sizes for %d axes", len(dims), len(axes))
		}
		for i, d := range dims {
			set(i, d)
		}
	default:
		var list []float64
		if scales != nil && c.numeric(scales) {
			list = scales.nums
		} else if a := c.attr("scales", onnx.Floats); a != nil {
			for _, f := range a.Floats {
				list = append(list, float64(f))
			}
		}
		if len(list) != len(axes) {
			fail("has %d known scales for %d axes", len(list), len(axes))
		}
		for i, s := range list {
			a := c.axisOf(axes[i], rank)
			if d := x.typ.Shape[a]; s == 1 {
				set(i, d)
			} else if n := math.Floor(float64(d.N) * s); n >= 1 && n < math.MaxInt32 {
				set(i, ir.D(int(n)))
			} else {
				fail("has a scale of %v", s)
			}
		}
	}
	return to
}
