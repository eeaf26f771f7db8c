package bench

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// Summary is what repeated measurements of one thing gave, in their unit.
type Summary struct {
	Median, Least float64
	Spread        float64 // distance of the quartiles, as a part of the median
	Runs          int
}

// Summarize sums up values, and sorts them.
func Summarize(x []float64) Summary {
	if len(x) == 0 {
		return Summary{}
	}
	slices.Sort(x)
	s := Summary{Median: quantile(x, 0.5), Least: x[0], Runs: len(x)}
	if s.Median > 0 {
		s.Spread = (quantile(x, 0.75) - quantile(x, 0.25)) / s.Median
	}
	return s
}

// quantile is that of sorted values, between neighbours in proportion.
func quantile(x []float64, q float64) float64 {
	at := q * float64(len(x)-1)
	i := int(at)
	if i+1 == len(x) {
		return x[i]
	}
	return x[i] + (at-float64(i))*(x[i+1]-x[i])
}

// What limits a kernel.
const (
	ByCompute = "compute"
	ByMemory  = "memory"
)

// Share compares a result with what the device can do at most.
type Share struct {
	FLOPs     float64 // a second
	Bytes     float64 // read and written a second
	Peak      float64 // part of the peak of multiply-adds, of bytes or 16-bit floats where the case multiplies these
	Bandwidth float64 // part of the bandwidth of memory; above 1 where data stay in caches
	Limit     string  // ByCompute or ByMemory: what allows less
	Roof      float64 // part of what that allows
}

// Of holds a result against the roofline: at most min(peak, intensity *
// bandwidth) FLOPs a second, where the intensity is FLOPs for each byte.
// Source: Williams, Waterman and Patterson, "Roofline: an insightful visual
// performance model for multicore architectures", 2009.
func Of(r Result, l kernels.Limits) Share {
	seconds, bytes := r.Seconds.Median, float64(r.Read+r.Written)
	if seconds <= 0 {
		return Share{}
	}
	s := Share{FLOPs: float64(r.FLOPs) / seconds, Bytes: bytes / seconds}
	peak := l.FLOPs
	if r.Bytes && l.ByteOPs > 0 {
		peak = l.ByteOPs
	}
	if l.HalfFLOPs > 0 && (r.Half == ir.BF16 || r.Half == ir.F16 && !l.HalfBF16) {
		peak = l.HalfFLOPs
	}
	s.Peak, s.Bandwidth = s.FLOPs/peak, s.Bytes/Bandwidth(l, r.Read, r.Written)
	s.Limit, s.Roof = ByMemory, s.Bandwidth
	if s.Peak >= s.Bandwidth {
		s.Limit, s.Roof = ByCompute, s.Peak
	}
	return s
}

// Bandwidth is the bytes a second of a kernel that reads and writes so much:
// that of reading, where it writes nothing, of STREAM's triad, where a third
// of the bytes is written, of a copy, where it is half of them or more, and in
// proportion of the time of a byte between these.
func Bandwidth(l kernels.Limits, read, written int64) float64 {
	const third, half = 1. / 3, 1. / 2
	w := float64(written) / float64(max(1, read+written))
	between := func(a, b, x float64) float64 { return 1 / ((1-x)/a + x/b) }
	switch {
	case w >= half:
		return l.Copy
	case w >= third:
		return between(l.Triad, l.Copy, (w-third)/(half-third))
	}
	return between(l.Read, l.Triad, w/third)
}
