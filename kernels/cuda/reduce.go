package cuda

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// reduceOp makes the kernel of a reduction, as numbered in source/reduce.cu.
func reduceOp(what uint32) maker {
	type params struct {
		y, x       driver.Pointer
		code, what uint32
		kept, gone walk[strides]
	}
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.ReduceAttr)
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
			at, err := b.pointers(args.Out[0], args.In[0])
			if err != nil || args.Out[0].Len() == 0 {
				return nothing, err
			}
			shape := args.In[0].Shape
			st := cStrides(shape)
			var list []int
			for _, i := range a.Axes.Slice() {
				list = append(list, kernels.Axis(i, len(shape)))
			}
			var size, stride [2][]int // kept, gone
			for i, n := range shape {
				k := 0
				if a.Axes == "" || slices.Contains(list, i) {
					k = 1
				}
				size[k], stride[k] = append(size[k], n), append(stride[k], st[i])
			}
			p := &params{y: at[0], x: at[1], code: codes[args.In[0].DType], what: what}
			if p.kept, err = walk1(size[0], stride[0]); err != nil {
				return nil, err
			}
			if p.gone, err = walk1(size[1], stride[1]); err != nil {
				return nil, err
			}
			return launch(b, "reduce", "reduce", overRows(int(p.kept.n), int(p.gone.n)), p)
		}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
	}
}

// alongParams is Along of source/reduce.cu.
type alongParams struct {
	y, x            driver.Pointer
	outer, n, inner uint64
	code, log       uint32
}

// along binds a kernel that takes x [outer, n, inner] along an axis.
func (b *Backend) along(a int, args kernels.Args) (*alongParams, error) {
	at, err := b.pointers(args.Out[0], args.In[0])
	if err != nil {
		return nil, err
	}
	outer, n, inner := kernels.Around(args.In[0].Shape, a)
	return &alongParams{at[0], at[1], uint64(outer), uint64(n), uint64(inner), codes[args.In[0].DType], 0}, nil
}

func softmaxOp(log bool) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.AxisAttr)
		return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
			p, err := b.along(a.Axis, args)
			if err != nil || args.In[0].Len() == 0 {
				return nothing, err
			}
			if log {
				p.log = 1
			}
			return launch(b, "reduce", "softmax", overRows(int(p.outer*p.inner), int(p.n)), p)
		}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
	}
}

// argmax is the lowest index of the greatest element along an axis.
func argmax(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	t := in[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		p, err := b.along(a.Axis, args)
		if err != nil || args.In[0].Len() == 0 {
			return nothing, err
		}
		return launch(b, "reduce", "argmax", overRows(int(p.outer*p.inner), int(p.n)), p)
	}}, ok && (stored(t) || t == ir.I32) && out[0].DType == ir.I32
}

// cumsum adds up along an axis.
func cumsum(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
		p, err := b.along(a.Axis, args)
		if err != nil || args.In[0].Len() == 0 {
			return nothing, err
		}
		return launch(b, "reduce", "cumsum", overElements(int(p.outer*p.inner)), p)
	}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
}

// normParams is Norm of source/reduce.cu.
type normParams struct {
	y, x, weight, bias driver.Pointer
	rows, n            uint64
	code, w, b, center uint32
	eps                float64
	offset             float32
}

// norm makes the kernel of a norm of rows: x, and optionally weight and bias.
func norm(p normParams, b *Backend, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := in[0].DType == out[0].DType && len(in[0].Shape) > 0
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		in := append(slices.Clone(args.In), kernels.Tensor{}, kernels.Tensor{})[:3]
		at, err := b.pointers(args.Out[0], in[0], in[1], in[2])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		p := p
		p.y, p.x, p.weight, p.bias = at[0], at[1], at[2], at[3]
		p.n = uint64(in[0].Shape[len(in[0].Shape)-1])
		p.rows = uint64(in[0].Len()) / p.n
		p.code, p.w, p.b = codes[in[0].DType], codes[in[1].DType], codes[in[2].DType]
		return launch(b, "reduce", "norm", overRows(int(p.rows), int(p.n)), &p)
	}}, ok
}

func rmsNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RMSNormAttr)
	p := normParams{eps: a.Eps}
	if a.PlusOne {
		p.offset = 1
	}
	k, can := norm(p, b, in, out)
	return k, ok && can
}

func layerNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LayerNormAttr)
	k, can := norm(normParams{eps: a.Eps, center: 1}, b, in, out)
	return k, ok && can && len(in) <= 3
}
