package cpu

import (
	"fmt"
	"testing"

	"pipe.dev/kernels/cpu/asm"
)

// BenchmarkPeak measures what the processor could do at most, to hold
// BenchmarkLinear against.
func BenchmarkPeak(b *testing.B) {
	for _, k := range []struct {
		tier  string
		lanes int
		f     func(n int)
	}{{"avx2", 8, asm.PeakY}, {"avx512", 16, asm.PeakZ}} {
		if _, err := findTier(k.tier); err != nil {
			continue
		}
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", k.tier, threads), func(b *testing.B) {
				best := 0.
				for b.Loop() {
					best = max(best, peak(threads, k.lanes, k.f))
				}
				b.ReportMetric(best, "GFLOP/s")
			})
		}
	}
}
