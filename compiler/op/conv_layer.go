package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// ConvLayerAttr describes a convolution with its weights. A list of numbers
// has one for all spatial axes, or one for each.
type ConvLayerAttr struct {
	OutChannels int  `cue:"out_channels!: int & >0" doc:"channels of the result"`
	Kernel      Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of the kernel, one for all spatial axes or one for each"`
	Stride      Ints `cue:"stride: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of positions, one for all axes or one for each"`
	Padding     Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"zeros on both sides, one for all axes or one for each; or those before each axis and then those after each"`
	Same        bool `cue:"same: bool | *false" doc:"instead of padding: as much as keeps the size, divided by the stride and rounded up; an odd one goes after"`
	Dilation    Ints `cue:"dilation: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of the elements of the kernel, one for all axes or one for each"`
	Groups      int  `cue:"groups: int & >0 | *1" doc:"groups of channels that do not mix; as many as x has channels is depthwise"`
	Bias        bool `cue:"bias: bool | *true" doc:"add a bias"`
	Act         string
	TF32        bool   // see AllowTF32
	Algorithm   string // how it is computed, "" or Winograd, set by the compiler for known sizes: see the pass convolve
}

// ConvTransposeLayerAttr describes a transposed convolution with its weights.
type ConvTransposeLayerAttr struct {
	OutChannels   int  `cue:"out_channels!: int & >0" doc:"channels of the result"`
	Kernel        Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of the kernel, one for all spatial axes or one for each"`
	Stride        Ints `cue:"stride: int & >0 | [int & >0, ...int & >0] | *1" doc:"how far apart the elements of x come to lie, one for all axes or one for each"`
	Padding       Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"elements cut off on both sides, one for all axes or one for each; or those before each axis and then those after each"`
	OutputPadding Ints `cue:"output_padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"elements added after, below the stride, one for all axes or one for each"`
	Dilation      Ints `cue:"dilation: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of the elements of the kernel, one for all axes or one for each"`
	Groups        int  `cue:"groups: int & >0 | *1" doc:"groups of channels that do not mix"`
	Bias          bool `cue:"bias: bool | *true" doc:"add a bias"`
	Act           string
	TF32          bool // see AllowTF32
}

// perAxis spreads a list of one number over n axes; an empty one is fallback.
func perAxis(name string, l Ints, n, fallback int) ([]int, error) {
	v := l.Slice()
	switch len(v) {
	case n:
		return v, nil
	case 0:
		return slices.Repeat([]int{fallback}, n), nil
	case 1:
		return slices.Repeat(v, n), nil
	}
	return nil, fmt.Errorf("%s has %d entries for %d spatial axes; want 1 or %d", name, len(v), n, n)
}

// sides gives the padding before and after n axes.
func sides(l Ints, n int) (before, after []int, err error) {
	if v := l.Slice(); len(v) == 2*n && len(v) > 1 {
		return v[:n], v[n:], nil
	}
	if before, err = perAxis("padding", l, n, 0); err != nil {
		return nil, nil, fmt.Errorf("%w, or %d", err, 2*n)
	}
	return before, before, nil
}

// settled gives the geometry of a layer on x with n spatial axes, and the
// sizes of its kernel.
func (a ConvLayerAttr) settled(x ir.Type, n int) (ConvAttr, []int, error) {
	if x.Rank() != n+2 {
		return ConvAttr{}, nil, fmt.Errorf("x is %v; want %d axes [batch, channels, %d spatial]", x, n+2, n)
	}
	kernel, err1 := perAxis("kernel", a.Kernel, n, 1)
	stride, err2 := perAxis("stride", a.Stride, n, 1)
	dilation, err3 := perAxis("dilation", a.Dilation, n, 1)
	before, after, err4 := sides(a.Padding, n)
	if err := first(err1, err2, err3, err4, wantChannels(x, a.OutChannels, a.Groups)); err != nil {
		return ConvAttr{}, nil, err
	}
	c := convolution{stride, before, after, dilation, a.Groups}
	if err := c.check(n); err != nil {
		return ConvAttr{}, nil, err
	}
	if a.Same {
		if slices.Max(before) > 0 || slices.Max(after) > 0 {
			return ConvAttr{}, nil, fmt.Errorf("padding is %s beside same, which settles it", a.Padding)
		}
		before, after = c.same(spatial(x), kernel)
	}
	return ConvAttr{Stride: MakeInts(stride...), Before: MakeInts(before...), After: MakeInts(after...), Dilation: MakeInts(dilation...), Groups: a.Groups, TF32: a.TF32}, kernel, nil
}

// same is the padding with which a result has size/stride positions, rounded up.
func (c convolution) same(size []ir.Dim, kernel []int) (before, after []int) {
	for i, d := range size {
		rest := c.stride[i] // of the last position, which x has in full if the stride divides its size
		if d.Known() && d.N%c.stride[i] != 0 {
			rest = d.N % c.stride[i]
		}
		total := max(0, c.dilation[i]*(kernel[i]-1)+1-rest)
		before, after = append(before, total/2), append(after, total-total/2)
	}
	return before, after
}

func wantChannels(x ir.Type, out, groups int) error {
	if err := wantFloat("x", x); err != nil {
		return err
	}
	if err := wantKnown("x", x, 1); err != nil {
		return err
	}
	in := x.Shape[1].N
	switch {
	case out < 1:
		return fmt.Errorf("out_channels is %d; want at least 1", out)
	case groups < 1:
		return fmt.Errorf("groups is %d; want at least 1", groups)
	case in%groups != 0 || in == 0:
		return fmt.Errorf("groups is %d, which does not divide the %d channels of x", groups, in)
	case out%groups != 0:
		return fmt.Errorf("groups is %d, which does not divide out_channels %d", groups, out)
	}
	return nil
}

// convParams are the weights of a layer: uniform within 1/sqrt(n), for the n
// elements of weight[0], as torch initialises them.
func convParams(rows, channels, out int, kernel []int, bias bool) []Param {
	shape := []ir.Dim{ir.D(rows), ir.D(channels)}
	for _, k := range kernel {
		shape = append(shape, ir.D(k))
	}
	ps := []Param{{Name: "weight", Shape: shape, Init: "kaiming"}}
	if bias {
		within := 1 / math.Sqrt(float64(channels*product(kernel)))
		ps = append(ps, Param{Name: "bias", Shape: []ir.Dim{ir.D(out)}, Init: ir.Within(within)})
	}
	return ps
}

// convLayer: x [batch, in, spatial...], weight [out, in/groups, kernel...],
// bias [out] -> [batch, out, spatial...], with n spatial axes.
func convLayer(n int) Def {
	return Def{Name: fmt.Sprintf("conv%dd", n), Title: fmt.Sprintf("Conv%dd", n),
		Doc:  fmt.Sprintf("y = w * x + b, a convolution (cross-correlation, as in PyTorch) over %s.", axesOf(n)),
		Attr: ConvLayerAttr{}, Sees: seesConvolved(false), Ports: []Port{{Name: "x", Doc: fmt.Sprintf("[batch, channels, %d spatial]", n)}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(ConvLayerAttr)
			_, kernel, err := at.settled(in[0], n)
			if err != nil {
				return nil, err
			}
			return convParams(at.OutChannels, in[0].Shape[1].N/at.Groups, at.OutChannels, kernel, at.Bias), nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ConvLayerAttr)
			c, _, err := at.settled(in[0], n)
			if err := first(err, wantAct(at.Act)); err != nil {
				return nil, err
			}
			return convInfer([]ir.Type{in[0], in[1].As(in[0].DType)}, c)
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at, x := n.Attr.(ConvLayerAttr), n.In[0]
			c, _, err := at.settled(x.Type(), x.Type().Rank()-2)
			if err != nil {
				b.Fail(err)
				return n.In
			}
			return b.afterConv(b.one("conv", c, x, b.Cast(n.In[1], x.Type().DType)), n.In[2:], at.Act)
		},
		Cost: convCost, Cases: convLayerCases(n),
	}
}

// afterConv adds the bias, if there is one, and applies the function.
func (b *Builder) afterConv(y ir.Value, bias []ir.Value, act string) []ir.Value {
	if len(bias) > 0 && b.err == nil {
		shape := []ir.Dim{y.Type().Shape[1]}
		for range spatial(y.Type()) {
			shape = append(shape, ir.D(1))
		}
		y = b.Add(y, b.Cast(b.Reshape(bias[0], shape...), y.Type().DType))
	}
	if act != "" {
		y = b.Act(act, y)
	}
	return []ir.Value{y}
}

// settled gives the geometry of a transposed layer on x with n spatial axes:
// that of the convolution whose adjoint it is.
func (a ConvTransposeLayerAttr) settled(x ir.Type, n int) (ConvAttr, []int, error) {
	if x.Rank() != n+2 {
		return ConvAttr{}, nil, fmt.Errorf("x is %v; want %d axes [batch, channels, %d spatial]", x, n+2, n)
	}
	kernel, err1 := perAxis("kernel", a.Kernel, n, 1)
	stride, err2 := perAxis("stride", a.Stride, n, 1)
	dilation, err3 := perAxis("dilation", a.Dilation, n, 1)
	more, err4 := perAxis("output_padding", a.OutputPadding, n, 0)
	before, after, err5 := sides(a.Padding, n)
	if err := first(err1, err2, err3, err4, err5, wantChannels(x, a.OutChannels, a.Groups)); err != nil {
		return ConvAttr{}, nil, err
	}
	if err := (convolution{stride, before, after, dilation, a.Groups}).check(n); err != nil {
		return ConvAttr{}, nil, err
	}
	size := make([]ir.Dim, n)
	for i, d := range spatial(x) {
		if more[i] >= stride[i] {
			return ConvAttr{}, nil, fmt.Errorf("output_padding is %d along spatial axis %d; want less than the stride, %d", more[i], i, stride[i])
		}
		rest := dilation[i]*(kernel[i]-1) + 1 - stride[i] - before[i] - after[i] + more[i]
		switch size[i] = d.Mul(ir.D(stride[i])); {
		case d.Known() && size[i].N+rest > 0:
			size[i].N += rest
		case d.Known():
			return ConvAttr{}, nil, fmt.Errorf("nothing is left along spatial axis %d: %d elements, of which padding cuts %d off", i, size[i].N+rest+before[i]+after[i], before[i]+after[i])
		case rest != 0:
			return ConvAttr{}, nil, fmt.Errorf("spatial axis %d is %v, which is not known yet: want padding that leaves stride times its size, but %+d elements are left", i, d, rest)
		}
	}
	return ConvAttr{Stride: MakeInts(stride...), Before: MakeInts(before...), After: MakeInts(after...), Dilation: MakeInts(dilation...),
		Groups: a.Groups, Size: MakeDims(size...), TF32: a.TF32}, kernel, nil
}

// convTransposeLayer: x [batch, in, spatial...], weight [in, out/groups,
// kernel...], bias [out] -> [batch, out, spatial...], with n spatial axes.
func convTransposeLayer(n int) Def {
	return Def{Name: fmt.Sprintf("conv_transpose%dd", n), Title: fmt.Sprintf("ConvTranspose%dd", n),
		Doc:  fmt.Sprintf("y = the adjoint of a convolution over %s, applied to x, + b; a size becomes (size-1)*stride + dilation*(kernel-1) + 1 + output_padding, less padding.", axesOf(n)),
		Attr: ConvTransposeLayerAttr{}, Sees: seesConvolved(true), Ports: []Port{{Name: "x", Doc: fmt.Sprintf("[batch, channels, %d spatial]", n)}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(ConvTransposeLayerAttr)
			_, kernel, err := at.settled(in[0], n)
			if err != nil {
				return nil, err
			}
			return convParams(in[0].Shape[1].N, at.OutChannels/at.Groups, at.OutChannels, kernel, at.Bias), nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ConvTransposeLayerAttr)
			c, _, err := at.settled(in[0], n)
			if err := first(err, wantAct(at.Act)); err != nil {
				return nil, err
			}
			return convTransposeInfer([]ir.Type{in[0], in[1].As(in[0].DType)}, c)
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at, x := n.Attr.(ConvTransposeLayerAttr), n.In[0]
			c, _, err := at.settled(x.Type(), x.Type().Rank()-2)
			if err != nil {
				b.Fail(err)
				return n.In
			}
			return b.afterConv(b.one("conv_transpose", c, x, b.Cast(n.In[1], x.Type().DType)), n.In[2:], at.Act)
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(in[0].Elems()) * int64(product(in[1].Sizes()[1:]))
		},
		Cases: convTransposeLayerCases(n),
	}
}

func axesOf(n int) string { return []string{"", "one axis", "two axes", "three axes"}[n] }

// ConvGeometry returns the geometry that a convolution's attribute has on x, whichever
// of the ops with a kernel it belongs to.
func ConvGeometry(attr any, x ir.Type) (ConvAttr, error) {
	switch a := attr.(type) {
	case ConvAttr:
		return a, nil
	case ConvLayerAttr:
		c, _, err := a.settled(x, x.Rank()-2)
		return c, err
	case ConvTransposeLayerAttr:
		c, _, err := a.settled(x, x.Rank()-2)
		return c, err
	}
	return ConvAttr{}, fmt.Errorf("%T is not the attribute of a convolution", attr)
}

// Winograd is a way to compute a convolution: fewer products, of transformed tiles.
const Winograd = "winograd"

// SuitsWinograd reports whether a convolution over two axes, with the given
// weight, can be computed by Winograd's algorithm: 3 x 3, without stride, dilation and groups.
func SuitsWinograd(c ConvAttr, w ir.Type) bool {
	return w.Rank() == 4 && w.Shape[2] == ir.D(3) && w.Shape[3] == ir.D(3) && c.Groups == 1 && c.Stride == "1,1" && c.Dilation == "1,1"
}
