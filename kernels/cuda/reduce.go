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
