package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// ConvAttr is the geometry of a convolution: position o of the result sees
// element o*stride + k*dilation - before of x at element k of the kernel,
// along each spatial axis; elements beyond x are zero.
type ConvAttr struct {
	Stride, Before, After, Dilation Ints // one number for each spatial axis
	Groups                          int
	Size                            Dims // of conv_transpose: the spatial sizes of its result
	Kernel                          Ints // of conv_weight_grad: the sizes of the kernel
	Wide                            bool // of conv_weight_grad: the result is f32, whatever the operands are
	TF32                            bool // see AllowTF32
}

// convolution is a ConvAttr as lists.
type convolution struct {
	stride, before, after, dilation []int
	groups                          int
}

func (a ConvAttr) lists() convolution {
	return convolution{a.Stride.Slice(), a.Before.Slice(), a.After.Slice(), a.Dilation.Slice(), a.Groups}
}

// check compares the lists with the number of spatial axes.
func (c convolution) check(axes int) error {
	if axes < 1 || axes > 3 {
		return fmt.Errorf("%d spatial axes; want 1, 2 or 3 after batch and channels", axes)
	}
	for _, l := range []struct {
		name  string
		v     []int
		least int
	}{{"stride", c.stride, 1}, {"before", c.before, 0}, {"after", c.after, 0}, {"dilation", c.dilation, 1}} {
		if len(l.v) != axes {
			return fmt.Errorf("%s has %d entries for %d spatial axes", l.name, len(l.v), axes)
		}
		for _, v := range l.v {
			if v < l.least {
				return fmt.Errorf("%s is %v; want at least %d", l.name, l.v, l.least)
			}
		}
	}
	if c.groups < 1 {
		return fmt.Errorf("groups is %d; want at least 1", c.groups)
	}
	return nil
}

// positions gives the spatial sizes of the result of a convolution of in.
func (c convolution) positions(in []ir.Dim, kernel []int) ([]ir.Dim, error) {
	out := make([]ir.Dim, len(in))
	for i, d := range in {
		span, pad := c.dilation[i]*(kernel[i]-1)+1, c.before[i]+c.after[i]
		if d.Known() {
			if d.N+pad < span {
				return nil, fmt.Errorf("the kernel spans %d elements along spatial axis %d, but x has %d and %d of padding", span, i, d.N, pad)
			}
			out[i] = ir.D((d.N+pad-span)/c.stride[i] + 1)
			continue
		}
		named, extra := apart(d)
		steps, whole := named.Div(ir.D(c.stride[i]))
		rest := extra + pad - span + c.stride[i] // elements beyond whole strides
		if !whole || rest < 0 {
			return nil, fmt.Errorf("spatial axis %d is %v, which is not known yet: with stride %d and a kernel that spans %d, want %d of padding in all (have %d) and a multiple of the stride",
				i, d, c.stride[i], span, max(0, span-c.stride[i]-extra), pad)
		}
		if rest >= c.stride[i] {
			steps = steps.Add(ir.D(rest / c.stride[i]))
		}
		out[i] = steps
	}
	return out, nil
}

// apart splits a size into what has names and a number beside it.
func apart(d ir.Dim) (named ir.Dim, extra int) {
	named = ir.D(0)
	for _, t := range d.Terms() {
		if t.Known() {
			extra += t.N
		} else {
			named = named.Add(t)
		}
	}
	return named, extra
}

// spatial is the part of a shape after batch and channels.
func spatial(t ir.Type) []ir.Dim { return t.Shape[2:] }

// wantConv checks operands [batch, channels, spatial...] and their weight.
func wantConv(name string, x ir.Type, w ir.Type) error {
	if err := first(wantFloat(name, x), alike(x, w), wantAtLeast(name, x, "[batch, channels, spatial...]", 3)); err != nil {
		return err
	}
	if err := wantKnown(name, x, 1); err != nil {
		return err
	}
	if w.Rank() != x.Rank() || !w.Known() || slices.Contains(w.Sizes(), 0) {
		return fmt.Errorf("weight is %v; want %d known sizes for %s, which is %v", w, x.Rank(), name, x)
	}
	return nil
}

// conv: x [batch, in, spatial...], weight [out, in/groups, kernel...]
// -> [batch, out, spatial...].
func conv() Def {
	return Def{Name: "conv", Doc: "y[b,o,p] = sum over c, k of x[b,c,p*stride+k*dilation-before] w[o,c,k], in groups of channels.", Attr: ConvAttr{}, Sees: seesConvolved(false),
		Ports: []Port{{Name: "x", Doc: "[batch, in, spatial...]"}, {Name: "weight", Doc: "[out, in/groups, kernel...]"}},
		Infer: convInfer,
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			out, _ := convInfer(types, attr)
			y := make([]float64, out[0].Elems())
			attr.(ConvAttr).visit(types[0].Sizes(), types[1].Sizes(), out[0].Sizes(), func(x, w, p int) { y[p] += in[0][x] * in[1][w] })
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			x, w, at := n.In[0], n.In[1], n.Attr.(ConvAttr)
			return []ir.Value{b.convBack(at, dy[0], w, spatial(x.Type())), b.convWeightGrad(at, x, dy[0], w)}
		},
		Cost:  convCost,
		Cases: convCases(),
	}
}

func convInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	x, w, c := in[0], in[1], attr.(ConvAttr).lists()
	if err := first(c.check(x.Rank()-2), wantConv("x", x, w)); err != nil {
		return nil, err
	}
	ws := w.Sizes()
	if x.Shape[1].N != ws[1]*c.groups || ws[0]%c.groups != 0 {
		return nil, fmt.Errorf("x has %v channels and weight is %v, which does not fit %d groups", x.Shape[1], w, c.groups)
	}
	out, err := c.positions(spatial(x), ws[2:])
	if err != nil {
		return nil, err
	}
	return []ir.Type{x.With(append([]ir.Dim{x.Shape[0], ir.D(ws[0])}, out...)...)}, nil
}

// visit calls f for every product of a convolution: with the elements of x
// [batch, in, spatial...], of w [out, in/groups, kernel...] and of
// y [batch, out, spatial...] that meet.
func (a ConvAttr) visit(xs, ws, ys []int, f func(x, w, y int)) {
	c := a.lists()
	space, kernel, positions := xs[2:], ws[2:], ys[2:]
	along, taps := product(space), product(kernel)
	p, k := make([]int, len(space)), make([]int, len(space))
	for i := range product(positions) {
		unravel(i, positions, p)
		for t := range taps {
			unravel(t, kernel, k)
			at, inside := 0, true
			for d := range space {
				e := p[d]*c.stride[d] + k[d]*c.dilation[d] - c.before[d]
				inside = inside && e >= 0 && e < space[d]
				at = at*space[d] + e
			}
			if !inside {
				continue
			}
			for b := range ys[0] {
				for o := range ys[1] {
					g := o / (ws[0] / c.groups)
					for j := range ws[1] {
						f((b*xs[1]+g*ws[1]+j)*along+at, (o*ws[1]+j)*taps+t, (b*ys[1]+o)*product(positions)+i)
					}
				}
			}
		}
	}
}

// unravel writes the index of element i, in C order, to at.
func unravel(i int, sizes, at []int) {
	for d := len(sizes) - 1; d >= 0; d-- {
		at[d] = i % sizes[d]
		i /= sizes[d]
	}
}

// convCost is two operations for each product, of zeros too.
func convCost(in, out []ir.Type, attr any) int64 {
	w := in[1].Sizes()
	return 2 * int64(out[0].Elems()) * int64(product(w[1:]))
}

// convTranspose is the adjoint of conv: y [batch, out, spatial...],
// weight [out, in/groups, kernel...] -> x [batch, in, Size...].
func convTranspose() Def {
	return Def{Name: "conv_transpose", Doc: "x[b,c,p*stride+k*dilation-before] = sum over o, k of y[b,o,p] w[o,c,k], the adjoint of conv.", Attr: ConvAttr{}, Sees: seesConvolved(true),
		Ports: []Port{{Name: "y", Doc: "[batch, out, spatial...], laid out as conv's result"}, {Name: "weight", Doc: "[out, in/groups, kernel...]"}},
		Infer: convTransposeInfer,
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			out, _ := convTransposeInfer(types, attr)
			x := make([]float64, out[0].Elems())
			attr.(ConvAttr).visit(out[0].Sizes(), types[1].Sizes(), types[0].Sizes(), func(i, w, p int) { x[i] += in[0][p] * in[1][w] })
			return [][]float64{x}
		},
		Grad: func(b *Builder, n *ir.Node, dx []ir.Value) []ir.Value {
			y, w, at := n.In[0], n.In[1], n.Attr.(ConvAttr)
			return []ir.Value{b.convAgain(at, dx[0], w), b.convWeightGrad(at, dx[0], y, w)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(in[0].Elems()) * int64(product(in[1].Sizes()[1:]))
		},
		Cases: convTransposeCases(),
	}
}

func convTransposeInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	y, w, at := in[0], in[1], attr.(ConvAttr)
	c := at.lists()
	if err := first(c.check(y.Rank()-2), wantConv("y", y, w)); err != nil {
		return nil, err
	}
	ws := w.Sizes()
	if y.Shape[1].N != ws[0] || ws[0]%c.groups != 0 {
		return nil, fmt.Errorf("y has %v channels and weight is %v, which does not fit %d groups", y.Shape[1], w, c.groups)
	}
	size, err := at.Size.Slice()
	if err != nil {
		return nil, err
	}
	if len(size) != y.Rank()-2 {
		return nil, fmt.Errorf("size is [%s]; want %d spatial sizes", at.Size, y.Rank()-2)
	}
	back, err := c.positions(size, ws[2:])
	if err != nil {
		return nil, err
	}
	if !slices.Equal(back, spatial(y)) {
		return nil, fmt.Errorf("a result of size %s goes with y of size %s, not %s", ir.ShapeString(size), ir.ShapeString(back), ir.ShapeString(spatial(y)))
	}
	return []ir.Type{y.With(append([]ir.Dim{y.Shape[0], ir.D(ws[1] * c.groups)}, size...)...)}, nil
}

// convWeightGrad: x [batch, in, spatial...], dy [batch, out, spatial...]
// -> [out, in/groups, kernel...].
func convWeightGrad() Def {
	return Def{Name: "conv_weight_grad", Doc: "dw[o,c,k] = sum over b, p of x[b,c,p*stride+k*dilation-before] dy[b,o,p], the gradient of conv's weight.", Attr: ConvAttr{},
		Ports: []Port{{Name: "x", Doc: "[batch, in, spatial...]"}, {Name: "dy", Doc: "[batch, out, spatial...], laid out as conv's result"}},
		Infer: convWeightGradInfer,
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			out, _ := convWeightGradInfer(types, attr)
			dw := make([]float64, out[0].Elems())
			attr.(ConvAttr).visit(types[0].Sizes(), out[0].Sizes(), types[1].Sizes(), func(x, w, p int) { dw[w] += in[0][x] * in[1][p] })
			return [][]float64{dw}
		},
		Grad: func(b *Builder, n *ir.Node, g []ir.Value) []ir.Value {
			x, dy, at := n.In[0], n.In[1], n.Attr.(ConvAttr)
			w := b.Cast(g[0], x.Type().DType)
			return []ir.Value{b.convBack(at, dy, w, spatial(x.Type())), b.convAgain(at, x, w)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(in[1].Elems()) * int64(product(out[0].Sizes()[1:]))
		},
		Cases: convWeightGradCases(),
	}
}

func convWeightGradInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	x, dy, at := in[0], in[1], attr.(ConvAttr)
	c, kernel := at.lists(), at.Kernel.Slice()
	if err := first(wantFloat("x", x), alike(x, dy), wantAtLeast("x", x, "[batch, channels, spatial...]", 3), wantRank("dy", dy, "as x has", x.Rank())); err != nil {
		return nil, err
	}
	if err := first(c.check(x.Rank()-2), wantKnown("x", x, 1), wantKnown("dy", dy, 1)); err != nil {
		return nil, err
	}
	if len(kernel) != x.Rank()-2 || slices.Min(kernel) < 1 {
		return nil, fmt.Errorf("kernel is %v; want %d sizes of at least 1", kernel, x.Rank()-2)
	}
	ins, outs := x.Shape[1].N, dy.Shape[1].N
	if ins%c.groups != 0 || outs%c.groups != 0 || x.Shape[0] != dy.Shape[0] {
		return nil, fmt.Errorf("x is %v and dy is %v, which does not fit %d groups", x, dy, c.groups)
	}
	want, err := c.positions(spatial(x), kernel)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(want, spatial(dy)) {
		return nil, fmt.Errorf("dy is %v; want spatial sizes %s", dy, ir.ShapeString(want))
	}
	shape := []ir.Dim{ir.D(outs), ir.D(ins / c.groups)}
	for _, k := range kernel {
		shape = append(shape, ir.D(k))
	}
	dw := x.With(shape...)
	if at.Wide {
		dw.DType = ir.F32
	}
	return []ir.Type{dw}, nil
}

// convBack is the gradient of x of a convolution, of the given spatial sizes.
func (b *Builder) convBack(at ConvAttr, dy, w ir.Value, size []ir.Dim) ir.Value {
	at.Size, at.Kernel, at.Wide = MakeDims(size...), "", false
	return b.one("conv_transpose", at, dy, w)
}

// convAgain convolves x by w.
func (b *Builder) convAgain(at ConvAttr, x, w ir.Value) ir.Value {
	at.Size, at.Kernel, at.Wide = "", "", false
	return b.one("conv", at, x, w)
}

// convWeightGrad is the gradient of w, given x and that of the result.
func (b *Builder) convWeightGrad(at ConvAttr, x, dy, w ir.Value) ir.Value {
	at.Size, at.Kernel = "", MakeInts(sizesOf(w.Type().Shape[2:])...)
	return b.one("conv_weight_grad", at, x, dy)
}
