package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/kerneltest"
)

// BenchmarkKernels measures the large cases of every op.
func BenchmarkKernels(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			kerneltest.Bench(b, open(b, Options{Threads: threads}))
		})
	}
}

// BenchmarkLimits measures what the processor can do at most.
func BenchmarkLimits(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			be := open(b, Options{Threads: threads})
			for b.Loop() {
				l, err := be.Limits(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(l.FLOPs/1e9, "GFLOP/s")
				b.ReportMetric(l.Read/1e9, "GB/s-read")
				b.ReportMetric(l.Copy/1e9, "GB/s-copy")
				b.ReportMetric(l.Triad/1e9, "GB/s-triad")
			}
		})
	}
}

// BenchmarkLinear measures products over packed weights: GFLOP/s, and GB/s of
// weights.
func BenchmarkLinear(b *testing.B) {
	for _, s := range []struct {
		m, n, k int
		w       ir.DType
	}{
		{1024, 1024, 1024, ir.F32}, {1024, 1024, 1024, ir.BF16}, {1024, 1024, 1024, ir.F16},
		{512, 4096, 4096, ir.F32}, {512, 4096, 11008, ir.BF16},
		{16, 2048, 2048, ir.F32}, {16, 2048, 2048, ir.BF16}, {4, 2048, 2048, ir.F32},
		{1, 4096, 4096, ir.F32}, {1, 4096, 4096, ir.BF16}, {1, 4096, 4096, ir.F16}, {1, 512, 512, ir.F32}, {1, 64, 64, ir.F32},
	} {
		for _, info := range Tiers() {
			if !info.Available || info.Name == "generic" && s.m > 1 {
				continue
			}
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%dx%d/%v/%s/threads=%d", s.m, s.n, s.k, s.w, info.Name, threads), func(b *testing.B) {
					benchLinear(b, open(b, Options{Threads: threads, Tier: info.Name}), s.m, s.n, s.k, s.w)
				})
			}
		}
	}
}

func benchLinear(b *testing.B, be *Backend, m, n, k int, d ir.DType) {
	r := rand.New(rand.NewPCG(1, 2))
	in := []kernels.Tensor{put(b, be, ir.F32, random(r, m*k), "", m, k), put(b, be, d, random(r, n*k), N32, n, k)}
	step := bind(b, be, "linear", op.LinearAttr{OutFeatures: n}, in, put(b, be, ir.F32, nil, "", m, n))
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = step(ctx)
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)/seconds/1e9, "GFLOP/s")
	b.ReportMetric(float64(n*k*d.Size())/seconds/1e9, "GB/s")
}
