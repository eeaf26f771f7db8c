package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// convertible are the types that cast converts among; bf16 and f16 go by way
// of float32.
type convertible interface {
	float64 | float32 | int64 | int32 | int8 | uint8
}

// castOp converts between any two element types.
func castOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	if len(in) != 1 {
		return nil, false
	}
	switch d := in[0].DType; {
	case d == ir.F64:
		return castFrom[float64](b, in, out)
	case stored(d) && stored(out[0].DType):
		return castStored(b, in, out), true
	case stored(d):
		return castFrom[float32](b, in, out)
	case d == ir.I64:
		return castFrom[int64](b, in, out)
	case d == ir.I32:
		return castFrom[int32](b, in, out)
	case d == ir.I8:
		return castFrom[int8](b, in, out)
	case d == ir.U8 || d == ir.Bool:
		return castFrom[uint8](b, in, out)
	}
	return nil, false
}

func castFrom[S convertible](b *Backend, in, out []ir.Type) (kernels.Kernel, bool) {
	switch d := out[0].DType; {
	case d == ir.F64:
		return castKernel(b, convert[float64, S], in, out), true
	case stored(d):
		return castKernel(b, convert[float32, S], in, out), true
	case d == ir.I64:
		return castKernel(b, convert[int64, S], in, out), true
	case d == ir.I32:
		return castKernel(b, convert[int32, S], in, out), true
	case d == ir.I8:
		return castKernel(b, convert[int8, S], in, out), true
	case d == ir.U8:
		return castKernel(b, convert[uint8, S], in, out), true
	case d == ir.Bool:
		return castKernel(b, nonzero[S], in, out), true
	}
	return nil, false
}

func convert[D, S convertible](y []D, x []S) {
	for i, v := range x {
		y[i] = D(v)
	}
}

func nonzero[S convertible](y []uint8, x []S) {
	for i, v := range x {
		y[i] = truth(v != 0)
	}
}

// castStored converts among f32, bf16 and f16, a row at a time.
func castStored(b *Backend, in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := vs[0], vs[1]
		return b.tiled(y.n, func(local []float32, i, n int) {
			if y.dtype == ir.F32 {
				x.load(y.f32()[i:i+n], i)
				return
			}
			y.store(i, x.tile(local[:tile], i, n))
		}), nil
	}}
}

func castKernel[D, S convertible](b *Backend, f func(y []D, x []S), in, out []ir.Type) kernels.Kernel {
	size := in[0].DType.Size() == out[0].DType.Size()
	return kernel{inPlace: func(i int) bool { return i == 0 && size }, bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := input[S]{vec: vs[0]}, output[D]{vs[1]}
		return b.tiled(y.n, func(local []float32, i, n int) {
			to := y.room(tileBuf[D](local, 0), i, n)
			f(to, x.read(tileBuf[S](local, 1), i, n))
			y.keep(to, i)
		}), nil
	}}
}
