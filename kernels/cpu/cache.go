package cpu

import (
	"context"
	"encoding/binary"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/half"
)

// cacheAppend replaces rows past[b] to past[b]+seq-1 of a cache by x; rows
// beyond the cache are dropped. In place, nothing else moves. A cache may be in
// blocks of 8 bits: see quantiseQ8.
//
//	cache, y [batch, ctx, groups, d]   x [batch, seq, groups, d]   past [batch], optional
func cacheAppend(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 3 && len(in[0].Shape) == 4 && keeps(in[0]) && stored(in[1].DType) &&
		in[0].DType == out[0].DType && (in[2].DType == ir.Invalid || isIndex(in[2]))
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.In[2], args.Out[0])
		if err != nil {
			return nil, err
		}
		cache, x, past, y := vs[0], vs[1], pastOf(vs[2]), vs[3]
		batch, ctx, inner := kernels.Around(args.In[0].Shape, 1)
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
			return sequence(reaches(args.Out[0], y, past, seq), write), nil
		}
		keep := b.blocks(y.n, func(i, j int) { copy(y.bytes(i, j), cache.bytes(i, j)) })
		if y.dtype.Blocked() {
			keep = b.blocks(y.n, func(i, j int) { copy(y.bytes8()[i:j], cache.bytes8()[i:j]) })
		}
		return sequence(keep, write), nil
	}}, ok
}

// reaches is the step before rows past[b] to past[b]+seq-1 of a cache y are written.
func reaches(t kernels.Tensor, y vec, past *pasts, seq int) kernels.Step {
	bytes := y.n
	if !y.dtype.Blocked() {
		bytes *= y.dtype.Size()
	}
	batch, ctx := t.Shape[0], t.Shape[1]
	f := t.Buffer.(*buffer).fill(y.p, batch, ctx, bytes)
	return func(context.Context) error {
		for z := range batch {
			f.reach(z, past.of(z), past.of(z)+seq)
		}
		return nil
	}
}

// keeps reports whether a cache may be of type t [batch, ctx, groups, d].
func keeps(t ir.Type) bool { return stored(t.DType) || t.DType == ir.Q8_0 && t.Blocks(t.DType) }

// quantiseQ8 writes x, whole blocks of 32, as q8_0: a scale d = max|x|/127 in
// f16, and x/d rounded to the nearest whole number, away from zero where two are
// as near. So a value is off by at most max|x| of its block / 250. A block
// with a value that is not finite, or too large for f16, becomes NaN.
func quantiseQ8(dst []byte, x []float32) {
	for ; len(x) >= 32; x, dst = x[32:], dst[34:] {
		top := float32(0)
		for _, v := range x[:32] {
			if v = abs32(v); v > top || v != v { // a NaN stays
				top = v
			}
		}
		d := top / 127
		scale := half.F32ToF16(d)
		inverse := float32(0)
		if d > 0 {
			inverse = 1 / d
		}
		if w := half.F16ToF32(scale); !(w <= math.MaxFloat32) {
			scale, inverse = half.F32ToF16(float32(math.NaN())), 0
		}
		binary.LittleEndian.PutUint16(dst, scale)
		for i, v := range x[:32] {
			dst[2+i] = byte(int8(math.Round(float64(v * inverse))))
		}
	}
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
