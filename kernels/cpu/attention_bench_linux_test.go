package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// BenchmarkAttention measures attention and its gradient in GFLOP/s of the
// products that are needed: of causal attention, half of them.
func BenchmarkAttention(b *testing.B) {
	for _, s := range []struct{ batch, seq, heads, groups, d int }{{4, 512, 8, 8, 64}, {1, 2048, 32, 32, 64}, {1, 2048, 32, 8, 128}, {12, 64, 4, 4, 32}} {
		for _, causal := range []bool{false, true} {
			for _, threads := range []int{1, 2} {
				name := fmt.Sprintf("%dx%dx%dx%dx%d/causal=%v/threads=%d", s.batch, s.seq, s.heads, s.groups, s.d, causal, threads)
				flops := 4 * float64(s.batch*s.heads*s.seq*s.seq*s.d)
				if causal {
					flops /= 2
				}
				be := open(b, Options{Threads: threads})
				forward, backward := attentionSteps(b, be, s.batch, s.seq, s.heads, s.groups, s.d, op.AttentionAttr{Causal: causal})
				b.Run(name+"/forward", func(b *testing.B) { benchStep(b, forward, flops) })
				b.Run(name+"/gradient", func(b *testing.B) { benchStep(b, backward, 2.5*flops) })
			}
		}
	}
}

// BenchmarkOneToken measures a token over a long cache, in GB/s of the cache.
func BenchmarkOneToken(b *testing.B) {
	for _, s := range []struct{ t, heads, groups, d int }{{2048, 32, 8, 128}, {8192, 32, 8, 128}, {2048, 32, 32, 64}, {2048, 8, 8, 64}, {16384, 4, 1, 128}} {
		for _, kv := range []ir.DType{ir.F32, ir.BF16, ir.F16, ir.Q8_0} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%dx%dx%d/%v/threads=%d", s.t, s.heads, s.groups, s.d, kv, threads), func(b *testing.B) {
					be := open(b, Options{Threads: threads})
					t := s.t
					r := rand.New(rand.NewPCG(1, 2))
					in := []kernels.Tensor{put(b, be, ir.F32, random(r, s.heads*s.d), "", 1, 1, s.heads, s.d), put(b, be, kv, random(r, t*s.groups*s.d), "", 1, t, s.groups, s.d),
						put(b, be, kv, random(r, t*s.groups*s.d), "", 1, t, s.groups, s.d), {}, put(b, be, ir.I32, []float32{float32(t - 1)}, "", 1), {}, {}}
					step := bind(b, be, "attention", op.AttentionAttr{Causal: true}, in, put(b, be, ir.F32, nil, "", 1, 1, s.heads, s.d))
					quickest(b, 2*float64(ir.T(kv, t, s.groups, s.d).Bytes()), "GB", func() { _ = step(b.Context()) })
				})
			}
		}
	}
}

func attentionSteps(b *testing.B, be *Backend, batch, seq, heads, groups, d int, at op.AttentionAttr) (forward, backward kernels.Step) {
	r := rand.New(rand.NewPCG(1, 2))
	rows := func(heads int) kernels.Tensor {
		return put(b, be, ir.F32, random(r, batch*seq*heads*d), "", batch, seq, heads, d)
	}
	q, k, v, dy := rows(heads), rows(groups), rows(groups), rows(heads)
	y, lse := rows(heads), put(b, be, ir.F32, nil, "", batch, seq, heads)
	stats := at
	stats.Stats = true
	forward = bind(b, be, "attention", stats, []kernels.Tensor{q, k, v, {}, {}, {}, {}}, y, lse)
	_ = forward(b.Context())
	backward = bind(b, be, "attention_grad", at, []kernels.Tensor{q, k, v, {}, {}, {}, {}, y, lse, dy, {}}, rows(heads), rows(groups), rows(groups))
	return forward, backward
}

func benchStep(b *testing.B, step kernels.Step, flops float64) {
	b.ReportAllocs()
	quickest(b, flops, "GFLOP", func() { _ = step(b.Context()) })
}
