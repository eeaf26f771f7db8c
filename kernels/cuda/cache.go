package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// cacheAppendBlocks is cacheAppend for a cache in q8_0, with rows as files have them:
// what is appended is quantised.
//
//	cache, y [batch, ctx, groups, d]   x [batch, seq, groups, d]   past [batch], optional
func cacheAppendBlocks(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		cache, old, x, past        driver.Pointer
		batch, context, seq, inner uint64
		xCode, pastCode            uint32
	}
	ok := len(in) == 3 && len(in[0].Shape) == 4 && inBlocksOf8(in[0]) && stored(in[1].DType) && out[0].DType == ir.Q8_0 && (in[2].DType == ir.Invalid || isIndex(in[2]))
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.In[2])
		if err != nil {
			return nil, err
		}
		batch, context, inner := kernels.Around(args.In[0].Shape, 1)
		n := args.Out[0].Len()
		if at[0] == at[1] {
			n = args.In[1].Len()
		}
		if n == 0 {
			return nothing, nil
		}
		p := &params{at[0], at[1], at[2], at[3], uint64(batch), uint64(context), uint64(args.In[1].Shape[1]), uint64(inner / unit), codes[args.In[1].DType], codes[args.In[2].DType]}
		return launch(b, "cache", "cache_append_q8", overElements(n), p)
	}}, ok
}
