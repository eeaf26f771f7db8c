package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/internal/philox"
	"pipe.dev/kernels"
)

// dropout leaves elements out by random words that their place decides, so
// neither threads nor tiles change a bit.
//
//	x, y alike   counter i32 or i64, one element; without it y = x
func dropout(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.DropoutAttr)
	if !ok || len(in) != 2 || !stored(in[0].DType) || in[0].DType != out[0].DType || in[1].DType != ir.Invalid && !isIndex(in[1]) {
		return nil, false
	}
	if in[1].DType == ir.Invalid {
		return copyOp(b, nil, in[:1], out)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		x, counter, y := input[float32]{vec: vs[0]}, vs[1], output[float32]{vs[2]}
		scale, least := float32(1/(1-a.Rate)), a.Threshold()
		return b.tiled(y.n, func(local []float32, i, n int) {
			to := y.room(tileBuf[float32](local, 0), i, n)
			leaveOut(to, x.read(tileBuf[float32](local, 1), i, n), a.Seed, streamOf(counter), uint64(i), least, scale)
			y.keep(to, i)
		}), nil
	}}, true
}

// streamOf reads the counter, when the step runs.
func streamOf(counter vec) uint32 {
	if counter.dtype == ir.I64 {
		return uint32(slice[int64](counter)[0])
	}
	return uint32(slice[int32](counter)[0])
}

// leaveOut computes a tile whose first element is number i of the tensor, a
// multiple of 4.
func leaveOut(y, x []float32, seed uint64, stream uint32, i uint64, least uint32, scale float32) {
	for at := 0; at < len(y); at += 4 {
		words := philox.Words(seed, stream, (i+uint64(at))/4)
		for k, v := range x[at:min(at+4, len(x))] {
			if words[k] < least {
				v = 0
			}
			y[at+k] = v * scale
		}
	}
}
