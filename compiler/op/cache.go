package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// cacheAppend: cache [batch, ctx, groups, d], x [batch, seq, groups, d], past
// [batch] -> cache. It may work in place.
func cacheAppend() Def {
	c := func(name string, b, ctx, s, g, d, last int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, b, ctx, g, d), ir.T(ir.F32, b, s, g, d), ir.T(ir.I32, b)},
			Low: -1, High: 1, Bounds: map[int][2]float64{2: {0, float64(last)}}}
	}
	large := c("large", 8, 2048, 16, 8, 128, 2032)
	large.Large = true
	return Def{Name: "cache_append", Title: "CacheAppend", Doc: "y = cache with rows past[b] to past[b]+seq-1 replaced by x; rows at ctx or beyond are dropped.", Cost: free,
		Ports: []Port{{Name: "cache", Doc: "[batch, ctx, groups, d]; may be stored narrower than x, also in q8_0"}, {Name: "x", Doc: "[batch, seq, groups, d]"}, {Name: "past", Doc: "i32 [batch]"}},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			cache, x := in[0], in[1]
			if err := first(wantKept("cache", cache), wantFloat("x", x), wantRank("cache", cache, "[batch, ctx, groups, d]", 4),
				wantRank("x", x, "[batch, seq, groups, d]", 4), wantPast(in[2], x.Shape[0])); err != nil {
				return nil, err
			}
			if !slices.Equal(replaced(cache.Shape, 1, ir.D(1)), replaced(x.Shape, 1, ir.D(1))) {
				return nil, fmt.Errorf("x is %s but cache is %s", ir.ShapeString(x.Shape), ir.ShapeString(cache.Shape))
			}
			return []ir.Type{cache}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, _ any) [][]float64 {
			batch, ctx, inner := around(types[0].Sizes(), 1)
			seq := types[1].Shape[1].N
			y := slices.Clone(in[0])
			for b := range batch {
				for s := range seq {
					if p := int(in[2][b]) + s; p >= 0 && p < ctx {
						copy(y[(b*ctx+p)*inner:(b*ctx+p+1)*inner], in[1][(b*seq+s)*inner:])
					}
				}
			}
			return [][]float64{y}
		},
		Grad: cacheAppendGrad,
		Cases: []Case{
			c("", 2, 7, 3, 2, 4, 4), c("full", 1, 5, 5, 1, 17, 0), c("one token", 3, 17, 1, 2, 3, 16),
			c("beyond the end", 3, 6, 4, 1, 5, 8), c("whole blocks", 2, 5, 2, 2, 32, 4), large,
		},
	}
}

// cacheAppendGrad: the gradient of the cache is dy outside of the rows that
// were written, that of x is dy at those rows.
func cacheAppendGrad(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	cache, x := n.In[0].Type(), n.In[1].Type()
	batch, ctx, seq, one := x.Shape[0], cache.Shape[1], x.Shape[1], ir.D(1)
	past := b.Reshape(b.Cast(n.In[2], ir.I32), batch, one, one, one)
	zero := b.Scalar(0, dy[0])

	row := b.Iota(ir.I32, 0, ctx, one, one)
	written := b.And(b.Ge(row, past), b.Lt(row, b.Add(past, b.Count(past, seq))))
	dcache := b.Select(written, zero, dy[0])

	at := b.Add(past, b.Iota(ir.I32, 0, seq, one, one))
	size := b.Count(past, ctx)
	inside := b.Min(at, b.Sub(size, b.Fill(1, ir.I32)))
	dx := b.Select(b.Lt(at, size), b.TakeAlong(dy[0], b.Broadcast(inside, x.Shape...), 1), zero)
	return []ir.Value{dcache, b.Cast(dx, x.DType), {}}
}

// wantKept wants a type in which keys and values are kept: floating-point
// numbers, or blocks of 8 bits.
func wantKept(name string, t ir.Type) error {
	if t.DType != ir.Q8_0 {
		return wantFloat(name, t)
	}
	if block, _ := t.DType.Block(); !t.Blocks(t.DType) {
		return fmt.Errorf("%s is %v: rows of %v are no whole number of blocks of %d", name, t, lastDim(t), block)
	}
	return nil
}
