package journal

import (
	"math"
	"slices"
)

// histogram counts values in buckets whose width grows with the distance from
// zero, as TensorBoard's own do: the upper ends are 0 and plus and minus
// 1e-12 times powers of 1.1, up to 1e20.
type histogram struct {
	min, max, sum, squares float64
	limits, counts         []float64 // of the buckets from the first to the last that count something
	n                      float64
}

const (
	smallest = 1e-12
	growth   = 1.1
	sides    = 774 // buckets on each side of zero: 1e-12 * 1.1^773 > 9e19
)

// bucketLimit is the upper end of bucket i, for i from -sides to sides.
func bucketLimit(i int) float64 {
	switch {
	case i == 0:
		return 0
	case i < 0:
		return -smallest * math.Pow(growth, float64(-i-1))
	case i > sides:
		return math.MaxFloat64
	}
	return smallest * math.Pow(growth, float64(i-1))
}

// bucketOf is the i of the first bucket whose limit is at least v.
func bucketOf(v float64) int {
	guess := 0
	if a := math.Abs(v); a > smallest {
		guess = int(math.Log(a/smallest)/math.Log(growth)) + 1
	}
	if v < 0 {
		guess = -guess
	}
	i := max(-sides, min(guess, sides))
	for i > -sides && v <= bucketLimit(i-1) {
		i--
	}
	for i <= sides && v > bucketLimit(i) {
		i++
	}
	return i
}

func newHistogram(values []float32) histogram {
	h := histogram{min: math.Inf(1), max: math.Inf(-1)}
	counts := make([]float64, 2*sides+2)
	for _, x := range values {
		v := float64(x)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		h.n++
		h.min, h.max = min(h.min, v), max(h.max, v)
		h.sum += v
		h.squares += v * v
		counts[bucketOf(v)+sides]++
	}
	if h.n == 0 {
		return histogram{limits: []float64{0}, counts: []float64{0}}
	}
	counted := func(c float64) bool { return c > 0 }
	from := slices.IndexFunc(counts, counted)
	to := len(counts)
	for !counted(counts[to-1]) {
		to--
	}
	from = max(0, from-1) // the lower end of the first bucket is drawn too
	h.counts = counts[from:to]
	for i := from; i < to; i++ {
		h.limits = append(h.limits, bucketLimit(i-sides))
	}
	return h
}

func (h histogram) encode() []byte {
	var m message
	m.double(histogramMin, h.min)
	m.double(histogramMax, h.max)
	m.double(histogramNum, h.n)
	m.double(histogramSum, h.sum)
	m.double(histogramSquares, h.squares)
	m.doubles(histogramLimits, h.limits)
	m.doubles(histogramCounts, h.counts)
	return m
}
