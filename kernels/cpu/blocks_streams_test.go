package cpu

import (
	"testing"

	"pipe.dev/kernels/cpu/asm"
)

// Streams have every row once, but for fewer than a panel at the end, and do not meet in the first-level cache.
func TestRowStreams(t *testing.T) {
	for _, be := range backends(t, 1) {
		coveredOnce(t, be)
	}
	// 64 rows apart, 16 of 1,152 bytes would share a set.
	for _, bytes := range []int{1152, 2048, 2176, 2304, 3168, 4608} {
		for _, most := range []int{64, 128, 1000} {
			want := 2
			if bytes == 2048 {
				want = 8 // there are two places
			}
			if n := meeting(wellApart(most, bytes) * bytes); n > want {
				t.Errorf("rows of %d bytes, up to %d apart: %d streams share a set, want %d", bytes, most, n, want)
			}
		}
	}
}

func coveredOnce(t *testing.T, be *Backend) {
	t.Helper()
	for _, bytes := range []int{18, 144, 210, 1152, 2176, 3168} {
		for _, n := range []int{0, 1, 31, 32, 33, 64, 100, 256, 320, 768, 2047, 2048, 5632, 32000} {
			seen := make([]int, n)
			for _, s := range be.streamsOf(n, bytes) {
				for j := range s.count {
					for l := range asm.Panel {
						seen[s.first+l*s.lane+j*s.unit]++
					}
				}
			}
			for row, times := range seen {
				if want := min(1, max(0, n-n%asm.Panel-row)); times != want {
					t.Fatalf("%d rows of %d bytes: row %d is in %d streams, want %d", n, bytes, row, times, want)
				}
			}
		}
	}
}
