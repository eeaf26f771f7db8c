package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// dropout leaves elements out by random words that their place decides.
//
//	x, y alike   counter i32 or i64, one element; without it y = x
func dropout(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, x, counter     driver.Pointer
		n, seed           uint64
		code, counterCode uint32
		least             uint32
		scale             float32
	}
	a, ok := attr.(op.DropoutAttr)
	ok = ok && len(in) == 2 && stored(in[0].DType) && in[0].DType == out[0].DType && (in[1].DType == ir.Invalid || isIndex(in[1]))
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1])
		n := args.Out[0].Len()
		if err != nil || n == 0 || at[2] == 0 && at[0] == at[1] {
			return nothing, err
		}
		if at[2] == 0 {
			return b.move(args.Out[0].DType.Size(), []int{n}, at[0], at[1], []int{1}, []int{1})
		}
		p := &params{at[0], at[1], at[2], uint64(n), a.Seed, codes[args.In[0].DType], codes[args.In[1].DType], a.Threshold(), float32(1 / (1 - a.Rate))}
		return launch(b, "random", "dropout", overElements(parts(n, 4)), p)
	}}, ok
}
