package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// MaxPoolAttr describes windows whose greatest element is taken. A list of
// numbers has one for all spatial axes, or one for each.
type MaxPoolAttr struct {
	Kernel   Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of a window, one for all spatial axes or one for each"`
	Stride   Ints `cue:"stride: int & >=0 | [int & >0, ...int & >0] | *0" doc:"distance of windows, one for all axes or one for each; 0 is the kernel"`
	Padding  Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"how far windows reach beyond x on both sides, one for all axes or one for each; or before each axis and then after each"`
	Dilation Ints `cue:"dilation: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of the elements of a window, one for all axes or one for each"`
	Ceil     bool `cue:"ceil: bool | *false" doc:"a last window that begins within x but reaches beyond it counts, too"`
}

// AvgPoolAttr describes windows that are averaged.
type AvgPoolAttr struct {
	Kernel          Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of a window, one for all spatial axes or one for each"`
	Stride          Ints `cue:"stride: int & >=0 | [int & >0, ...int & >0] | *0" doc:"distance of windows, one for all axes or one for each; 0 is the kernel"`
	Padding         Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"how far windows reach beyond x on both sides, one for all axes or one for each; or before each axis and then after each"`
	Ceil            bool `cue:"ceil: bool | *false" doc:"a last window that begins within x but reaches beyond it counts, too"`
	CountIncludePad bool `cue:"count_include_pad: bool | *true" doc:"what padding adds counts, as zeros"`
}

// AdaptivePoolAttr describes windows by their number.
type AdaptivePoolAttr struct {
	Size Ints `cue:"size!: int & >0 | [int & >0, ...int & >0]" doc:"sizes of the result, one for all spatial axes or one for each"`
}

// InterpolateAttr describes a picture of another size.
type InterpolateAttr struct {
	Size         Ints    `cue:"size: int & >=0 | [int & >0, ...int & >0] | *0" doc:"sizes of the result, one for all spatial axes or one for each"`
	Scale        float64 `cue:"scale: number & >=0 | *0" doc:"instead of size: the size of the result over that of x, rounded down"`
	Mode         string  `cue:"mode: \"nearest\" | \"nearest_exact\" | \"linear\" | \"cubic\" | \"area\" | *\"nearest\"" doc:"linear is bilinear or trilinear over several axes, cubic bicubic; nearest rounds down, as PyTorch does, and nearest_exact takes the nearest"`
	AlignCorners bool    `cue:"align_corners: bool | *false" doc:"of linear and cubic: the first and last elements stay in place, rather than the outer borders"`
	Antialias    bool    `cue:"antialias: bool | *false" doc:"of linear and cubic: widen the kernel where the result is smaller"`
}

// pooled is the geometry of windows over n axes of x, and the sizes of the result.
type pooled struct {
	kernel, stride, before, after, dilation []int
	size                                    []ir.Dim
}

func wantSpatial(x ir.Type, n int) error {
	if x.Rank() != n+2 {
		return fmt.Errorf("x is %v; want %d axes [batch, channels, %d spatial]", x, n+2, n)
	}
	return wantFloat("x", x)
}

// pool settles windows over n axes of x.
func pool(x ir.Type, n int, kernel, stride, padding, dilation Ints, ceil bool) (p pooled, err error) {
	if err := wantSpatial(x, n); err != nil {
		return p, err
	}
	if stride == "" || stride == "0" {
		stride = kernel
	}
	var err1, err2, err3, err4 error
	p.kernel, err1 = perAxis("kernel", kernel, n, 1)
	p.stride, err2 = perAxis("stride", stride, n, 1)
	p.dilation, err3 = perAxis("dilation", dilation, n, 1)
	p.before, p.after, err4 = sides(padding, n)
	if err := first(err1, err2, err3, err4); err != nil {
		return p, err
	}
	c := convolution{p.stride, p.before, p.after, p.dilation, 1}
	if err := c.check(n); err != nil {
		return p, err
	}
	for i, k := range p.kernel {
		if span := p.dilation[i]*(k-1) + 1; k < 1 || p.before[i] > span/2 || p.after[i] > span/2 {
			return p, fmt.Errorf("padding is %d and %d along spatial axis %d; want at most half of the %d that a window spans", p.before[i], p.after[i], i, span)
		}
	}
	if p.size, err = c.positions(spatial(x), p.kernel); err != nil {
		return p, err
	}
	for i, d := range spatial(x) {
		if !ceil || !d.Known() {
			continue
		}
		all := d.N + p.before[i] + p.after[i] - p.dilation[i]*(p.kernel[i]-1) - 1 + p.stride[i] - 1
		if p.size[i] = ir.D(all/p.stride[i] + 1); (p.size[i].N-1)*p.stride[i] >= d.N+p.before[i] {
			p.size[i].N--
		}
	}
	return p, nil
}

// spatially is a layer over n spatial axes; sized gives the sizes of its
// result, and along what it does along one axis.
func spatially(name, title, doc string, n int, attr any, sized func(x ir.Type, attr any) ([]ir.Dim, error),
	along func(b *Builder, x ir.Value, attr any, of ir.Type, axis int, size ir.Dim) ir.Value, wide bool, cases []Case) Def {
	lower := func(b *Builder, node *ir.Node, x ir.Value) ir.Value {
		of := node.In[0].Type()
		size, err := sized(of, node.Attr)
		if err != nil {
			b.Fail(err)
			return x
		}
		for i := len(size) - 1; i >= 0; i-- {
			x = along(b, x, node.Attr, of, 2+i, size[i])
		}
		return x
	}
	d := Def{Name: name, Title: title, Doc: doc, Attr: attr, Ports: []Port{{Name: "x", Doc: spatialDoc(n)}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			size, err := sized(in[0], attr)
			if err != nil {
				return nil, err
			}
			return []ir.Type{in[0].With(slices.Concat(in[0].Shape[:2], size)...)}, nil
		},
		Lower: func(b *Builder, node *ir.Node) []ir.Value { return []ir.Value{lower(b, node, node.In[0])} },
		Cases: cases,
	}
	if wide {
		d.Lower = inWide(lower)
	}
	return d
}

func spatialDoc(n int) string {
	if n == 0 {
		return "[batch, channels, spatial...]"
	}
	return fmt.Sprintf("[batch, channels, %d spatial]", n)
}

func poolDefs() []Def {
	out := []Def{resample(), windowMax()}
	for n := 1; n <= 3; n++ {
		out = append(out, maxPool(n), avgPool(n), adaptiveMaxPool(n), adaptiveAvgPool(n))
	}
	return append(out, interpolate())
}

func maxPool(n int) Def {
	settle := func(x ir.Type, attr any) (pooled, error) {
		at := attr.(MaxPoolAttr)
		return pool(x, n, at.Kernel, at.Stride, at.Padding, at.Dilation, at.Ceil)
	}
	return spatially(fmt.Sprintf("max_pool%dd", n), fmt.Sprintf("MaxPool%dd", n), fmt.Sprintf("y = the greatest element of each window over %s.", axesOf(n)), n, MaxPoolAttr{},
		func(x ir.Type, attr any) ([]ir.Dim, error) { p, err := settle(x, attr); return p.size, err },
		func(b *Builder, x ir.Value, attr any, of ir.Type, axis int, size ir.Dim) ir.Value {
			p, _ := settle(of, attr)
			return b.one("window_max", WindowMaxAttr{Axis: axis, Size: MakeDims(size), Kernel: p.kernel[axis-2], Stride: p.stride[axis-2], Dilation: p.dilation[axis-2], Before: p.before[axis-2]}, x)
		}, false, poolCases(n, MaxPoolAttr{Kernel: "3", Stride: "2", Padding: "1", Ceil: true}, MaxPoolAttr{Kernel: "2", Dilation: "2"}))
}

func avgPool(n int) Def {
	settle := func(x ir.Type, attr any) (pooled, error) {
		at := attr.(AvgPoolAttr)
		return pool(x, n, at.Kernel, at.Stride, at.Padding, "", at.Ceil)
	}
	return spatially(fmt.Sprintf("avg_pool%dd", n), fmt.Sprintf("AvgPool%dd", n), fmt.Sprintf("y = the average of each window over %s.", axesOf(n)), n, AvgPoolAttr{},
		func(x ir.Type, attr any) ([]ir.Dim, error) { p, err := settle(x, attr); return p.size, err },
		func(b *Builder, x ir.Value, attr any, of ir.Type, axis int, size ir.Dim) ir.Value {
			p, _ := settle(of, attr)
			return b.one("resample", ResampleAttr{Axis: axis, Size: MakeDims(size), Rule: "average", Kernel: p.kernel[axis-2], Stride: p.stride[axis-2],
				Before: p.before[axis-2], After: p.after[axis-2], Count: attr.(AvgPoolAttr).CountIncludePad}, x)
		}, true, poolCases(n, AvgPoolAttr{Kernel: "3", Stride: "2", Padding: "1", Ceil: true, CountIncludePad: true}, AvgPoolAttr{Kernel: "2", Padding: "1"}))
}

func adaptiveSize(n int) func(x ir.Type, attr any) ([]ir.Dim, error) {
	return func(x ir.Type, attr any) ([]ir.Dim, error) {
		if err := wantSpatial(x, n); err != nil {
			return nil, err
		}
		return dimsOf("size", attr.(AdaptivePoolAttr).Size, n)
	}
}

// dimsOf spreads sizes over n axes.
func dimsOf(name string, l Ints, n int) ([]ir.Dim, error) {
	sizes, err := perAxis(name, l, n, 0)
	out := make([]ir.Dim, len(sizes))
	for i, s := range sizes {
		if out[i] = ir.D(s); s < 1 {
			return nil, fmt.Errorf("%s is %s; want at least 1", name, l)
		}
	}
	return out, err
}

func adaptiveMaxPool(n int) Def {
	return spatially(fmt.Sprintf("adaptive_max_pool%dd", n), fmt.Sprintf("AdaptiveMaxPool%dd", n), fmt.Sprintf("y = the greatest element of each of size windows that cover %s evenly.", axesOf(n)), n, AdaptivePoolAttr{}, adaptiveSize(n),
		func(b *Builder, x ir.Value, _ any, _ ir.Type, axis int, size ir.Dim) ir.Value {
			return b.one("window_max", WindowMaxAttr{Axis: axis, Size: MakeDims(size), Adaptive: true}, x)
		}, false, poolCases(n, AdaptivePoolAttr{Size: "3"}, AdaptivePoolAttr{Size: "1"}))
}

func adaptiveAvgPool(n int) Def {
	return spatially(fmt.Sprintf("adaptive_avg_pool%dd", n), fmt.Sprintf("AdaptiveAvgPool%dd", n), fmt.Sprintf("y = the average of each of size windows that cover %s evenly.", axesOf(n)), n, AdaptivePoolAttr{}, adaptiveSize(n),
		func(b *Builder, x ir.Value, _ any, _ ir.Type, axis int, size ir.Dim) ir.Value {
			return b.one("resample", ResampleAttr{Axis: axis, Size: MakeDims(size), Rule: "adaptive"}, x)
		}, true, poolCases(n, AdaptivePoolAttr{Size: "3"}, AdaptivePoolAttr{Size: "1"}))
}

func poolCases(n int, attrs ...any) []Case {
	shape := append([]int{2, 3}, []int{7, 8, 5}[3-n:]...)
	var out []Case
	for i, at := range attrs {
		out = append(out, Case{Name: []string{"", "other"}[i], In: f32s(shape), Attr: at, Low: -1, High: 1, Tol: 4e-6})
	}
	return out
}

// interpolated gives the sizes of the result.
func interpolated(x ir.Type, attr any) ([]ir.Dim, error) {
	at := attr.(InterpolateAttr)
	if x.Rank() < 3 || x.Rank() > 5 {
		return nil, fmt.Errorf("x is %v; want 3 to 5 axes [batch, channels, spatial...]", x)
	}
	if err := wantFloat("x", x); err != nil {
		return nil, err
	}
	plain := at.Mode == "nearest" || at.Mode == "nearest_exact" || at.Mode == "area"
	sized := at.Size != "" && at.Size != "0"
	switch {
	case sized == (at.Scale > 0):
		return nil, fmt.Errorf("want either size or scale")
	case plain && (at.AlignCorners || at.Antialias):
		return nil, fmt.Errorf("align_corners and antialias are for linear and cubic, not for %s", at.Mode)
	case at.AlignCorners && at.Antialias:
		return nil, fmt.Errorf("want either align_corners or antialias")
	case sized:
		return dimsOf("size", at.Size, x.Rank()-2)
	}
	var out []ir.Dim
	for i, d := range spatial(x) {
		if !d.Known() {
			if at.Scale != math.Trunc(at.Scale) {
				return nil, fmt.Errorf("spatial axis %d is %v, which is not known yet; want a whole scale, not %v", i, d, at.Scale)
			}
			out = append(out, d.Mul(ir.D(int(at.Scale))))
			continue
		}
		out = append(out, ir.D(int(math.Floor(float64(d.N)*at.Scale))))
		if out[i].N < 1 {
			return nil, fmt.Errorf("nothing is left of the %d elements along spatial axis %d by scale %v", d.N, i, at.Scale)
		}
	}
	return out, nil
}

// interpolate: x [batch, channels, spatial...] -> [batch, channels, size...].
func interpolate() Def {
	c := func(name string, at InterpolateAttr, shape ...int) Case {
		return Case{Name: name, In: f32s(shape), Attr: at, Low: -1, High: 1, Tol: 4e-6}
	}
	return spatially("interpolate", "Interpolate", "y = x at another size, as torch.nn.functional.interpolate.", 0, InterpolateAttr{}, interpolated,
		func(b *Builder, x ir.Value, attr any, _ ir.Type, axis int, size ir.Dim) ir.Value {
			at := attr.(InterpolateAttr)
			rule := at.Mode
			if rule == "area" {
				rule = "adaptive"
			}
			return b.one("resample", ResampleAttr{Axis: axis, Size: MakeDims(size), Rule: rule, Scale: at.Scale, AlignCorners: at.AlignCorners, Antialias: at.Antialias}, x)
		}, true, []Case{
			c("", InterpolateAttr{Scale: 2, Mode: "nearest"}, 2, 3, 4, 5),
			c("bilinear", InterpolateAttr{Size: "7,9", Mode: "linear", AlignCorners: true}, 1, 2, 4, 5),
			c("bicubic", InterpolateAttr{Scale: 1.7, Mode: "cubic"}, 1, 2, 4, 5),
			c("trilinear", InterpolateAttr{Size: "3", Mode: "linear"}, 1, 2, 4, 5, 2),
			c("smooth", InterpolateAttr{Size: "3", Mode: "linear", Antialias: true}, 2, 2, 11),
			c("area", InterpolateAttr{Size: "3,4", Mode: "area"}, 1, 2, 7, 9),
		})
}
