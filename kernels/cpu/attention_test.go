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
	const seq = 300
	type shape struct {
		at            op.AttentionAttr
		d             int
		kv            ir.DType
		heads, groups int
	}
	usual := func(at op.AttentionAttr, d int, kv ir.DType) shape { return shape{at, d, kv, 6, 2} }
	for _, c := range []shape{
		usual(op.AttentionAttr{Causal: true}, 20, ir.F32), usual(op.AttentionAttr{Causal: true}, 32, ir.BF16), usual(op.AttentionAttr{Causal: true, ALiBi: 8}, 32, ir.F16),
		usual(op.AttentionAttr{Causal: true, Window: 70, Softcap: 3}, 48, ir.F32), usual(op.AttentionAttr{Causal: true, Window: 70}, 20, ir.F16),
		usual(op.AttentionAttr{Causal: true}, 32, ir.Q8_0), usual(op.AttentionAttr{Causal: true, Window: 33}, 96, ir.Q8_0),
		{op.AttentionAttr{Causal: true}, 48, ir.F32, 16, 1}, {op.AttentionAttr{Causal: true, ALiBi: 8}, 32, ir.BF16, 24, 2},
		{op.AttentionAttr{Causal: true, Window: 33}, 32, ir.Q8_0, 24, 2}, // groups of more heads than are few
	} {
		r := rand.New(rand.NewPCG(13, 14))
		one, other := newCached(r, seq, c.heads, c.groups, c.d), newCached(r, seq, c.heads, c.groups, c.d)
		row := one.heads * one.d
		var want []float32
		for _, threads := range []int{1, 3} {
			for tier, b := range backends(t, threads) {
				run := func(ctx, from, to int, cs ...cached) []float32 { return attend(t, b, c.at, c.kv, ctx, from, to, cs...) }
				whole := run(seq, 0, seq, one)
				if want == nil {
					want = whole
				}
				what := fmt.Sprintf("%s, %d threads, %+v: ", tier, threads, c)
				sameBits(t, what+"at once", whole, want)
				sameBits(t, what+"chunk", run(seq+40, 40, 273, one), want[40*row:273*row])
				sameBits(t, what+"two tokens", run(seq, 261, 263, one), want[261*row:263*row])
				sameBits(t, what+"last token", run(seq+1, seq-1, seq, one), want[(seq-1)*row:])
				both := run(seq+64, 100, 101, other, one)
				sameBits(t, what+"in a batch", both[row:], want[100*row:101*row])
			}
		}
	}
}
