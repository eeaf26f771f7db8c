package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// The gradients of a sequence are the same bits alone, where blocks are parts,
// and in a batch, where groups are; with any number of threads and any
// instruction set.
func TestAttentionGradDoesNotDependOnCompany(t *testing.T) {
	const seq, heads, groups, d, dv = 130, 6, 2, 20, 36
	r := rand.New(rand.NewPCG(15, 16))
	rows := func(heads, d int) []float32 { return random(r, seq*heads*d) }
	q, k, v, dy, mask := rows(heads, d), rows(groups, d), rows(groups, dv), rows(heads, dv), random(r, seq*seq)
	for _, at := range []op.AttentionAttr{{}, {Causal: true}, {Causal: true, Window: 70, Softcap: 3}} {
		var want [3][]float32
		for _, threads := range []int{1, 3} {
			for tier, b := range backends(t, threads) {
				for _, batch := range []int{1, manyGroups / groups} {
					got := attentionGradients(t, b, at, batch, [4]int{seq, heads, groups, d}, dv, q, k, v, dy, mask)
					for i := range got {
						if want[i] == nil {
							want[i] = got[i]
						}
						for z := range batch {
							what := fmt.Sprintf("%s, %d threads, %+v, sequence %d of %d, gradient %d", tier, threads, at, z, batch, i)
							n := len(want[i])
							sameBits(t, what, got[i][z*n:(z+1)*n], want[i])
						}
					}
				}
			}
		}
	}
}

// attentionGradients runs a batch of equal sequences forward and backward.
func attentionGradients(t *testing.T, b *Backend, at op.AttentionAttr, batch int, s [4]int, dv int, q, k, v, dy, mask []float32) [3][]float32 {
	t.Helper()
	seq, heads, groups, d := s[0], s[1], s[2], s[3]
	repeated := func(x []float32, heads, d int) kernels.Tensor {
		var all []float32
		for range batch {
			all = append(all, x...)
		}
		return put(t, b, ir.F32, all, "", batch, seq, heads, d)
	}
	in := []kernels.Tensor{repeated(q, heads, d), repeated(k, groups, d), repeated(v, groups, dv), put(t, b, ir.F32, mask, "", seq, seq), {}, {}, {}}
	y, lse := put(t, b, ir.F32, nil, "", batch, seq, heads, dv), put(t, b, ir.F32, nil, "", batch, seq, heads)
	stats := at
	stats.Stats = true
	run(t, b, "attention", stats, in, y, lse)
	out := []kernels.Tensor{put(t, b, ir.F32, nil, "", batch, seq, heads, d), put(t, b, ir.F32, nil, "", batch, seq, groups, d), put(t, b, ir.F32, nil, "", batch, seq, groups, dv)}
	run(t, b, "attention_grad", at, append(in, y, lse, repeated(dy, heads, dv), kernels.Tensor{}), out...)
	return [3][]float32{get(t, out[0]), get(t, out[1]), get(t, out[2])}
}
