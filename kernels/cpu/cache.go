package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// cacheAppend replaces rows past[b] to past[b]+seq-1 of a cache by x; rows
// beyond the cache are dropped. In place, nothing else moves.
//
//	cache, y [batch, ctx, groups, d]   x [batch, seq, groups, d]   past [batch], optional
func cacheAppend(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 3 && len(in[0].Shape) == 4 && stored(in[0].DType) && stored(in[1].DType) &&
		in[0].DType == out[0].DType && (in[2].DType == ir.Invalid || isIndex(in[2]))
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.In[2], args.Out[0])
		if err != nil {
			return nil, err
		}
		cache, x, past, y := vs[0], vs[1], pastOf(vs[2]), vs[3]
		batch, ctx, inner := around(args.In[0].Shape, 1)
		seq := args.In[1].Shape[1]
		if x.n == 0 && cache.n == 0 {
			return b.step(0, nil), nil
		}
		perPart := max(1, 2*grain/max(inner, 1))
		chunk := parts(seq, perPart)
		write := b.step(batch*chunk, func(worker, id int) {
			z := id / chunk
			lo, hi := span(id%chunk, seq, perPart)
			buf := b.local[worker][:tile]
			for s := lo; s < hi; s++ {
				p := past.of(z) + s
				if p < 0 || p >= ctx {
					continue
				}
				to, from := (z*ctx+p)*inner, (z*seq+s)*inner
				for i := 0; i < inner; i += tile {
					y.store(to+i, x.tile(buf, from+i, min(tile, inner-i)))
				}
			}
		})
		if cache.p == y.p {
			return write, nil
		}
		keep := b.blocks(y.n, func(i, j int) { copy(y.bytes(i, j), cache.bytes(i, j)) })
		return sequence(keep, write), nil
	}}, ok
}
