package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// cached is one sequence of queries, keys and values.
type cached struct {
	seq, heads, groups, d int
	q, k, v               []float32
}

func newCached(r *rand.Rand, seq, heads, groups, d int) cached {
	return cached{seq, heads, groups, d, random(r, seq*heads*d), random(r, seq*groups*d), random(r, seq*groups*d)}
}

// attend runs tokens from to to-1 of each sequence, whose caches have room for
// ctx tokens that hold NaN where nothing was written.
func attend(t *testing.T, b *Backend, at op.AttentionAttr, kv ir.DType, ctx, from, to int, cs ...cached) []float32 {
	t.Helper()
	c := cs[0]
	n := to - from
	var q, k, v, past []float32
	for _, c := range cs {
		q = append(q, c.q[from*c.heads*c.d:to*c.heads*c.d]...)
		room := func(x []float32) []float32 {
			out := append([]float32(nil), x[:to*c.groups*c.d]...)
			for len(out) < ctx*c.groups*c.d {
				out = append(out, float32(math.NaN()))
			}
			return out
		}
		k, v = append(k, room(c.k)...), append(v, room(c.v)...)
		past = append(past, float32(from))
	}
	in := []kernels.Tensor{put(t, b, ir.F32, q, "", len(cs), n, c.heads, c.d), put(t, b, kv, k, "", len(cs), ctx, c.groups, c.d),
		put(t, b, kv, v, "", len(cs), ctx, c.groups, c.d), {}, put(t, b, ir.I32, past, "", len(cs)), {}, {}}
	y := put(t, b, ir.F32, nil, "", len(cs), n, c.heads, c.d)
	run(t, b, "attention", at, in, y)
	return get(t, y)
}

// A token's result is the same bits whether the prompt came at once, in
// chunks, or token by token; however large the cache is; alone or in a batch;
// with any number of threads and any instruction set.
func TestAttentionDoesNotDependOnCompany(t *testing.T) {
	const seq = 150
	for _, at := range []op.AttentionAttr{{Causal: true}, {Causal: true, Window: 70, Softcap: 3}} {
		for _, kv := range []ir.DType{ir.F32, ir.BF16, ir.F16} {
			r := rand.New(rand.NewPCG(13, 14))
			one, other := newCached(r, seq, 6, 2, 20), newCached(r, seq, 6, 2, 20)
			row := one.heads * one.d
			var want []float32
			for _, threads := range []int{1, 3} {
				for tier, b := range backends(t, threads) {
					whole := attend(t, b, at, kv, seq, 0, seq, one)
					if want == nil {
						want = whole
					}
					what := fmt.Sprintf("%s, %d threads, %v cache, %+v: ", tier, threads, kv, at)
					sameBits(t, what+"at once", whole, want)
					sameBits(t, what+"chunk", attend(t, b, at, kv, seq+40, 40, 113, one), want[40*row:113*row])
					sameBits(t, what+"last token", attend(t, b, at, kv, seq+1, seq-1, seq, one), want[(seq-1)*row:])
					both := attend(t, b, at, kv, seq+64, 100, 101, other, one)
					sameBits(t, what+"in a batch", both[row:], want[100*row:101*row])
				}
			}
		}
	}
}
