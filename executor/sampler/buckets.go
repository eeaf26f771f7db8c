package sampler

import "slices"

// Selection without sorting: candidates are counted, or weighed, in buckets of
// equal width in x, the best first; only the one bucket in which the limit
// falls is sorted.
const (
	bucketCount = 4096
	farthest    = 64 // in nats: whatever is farther from the best than this shares the last bucket
)

// bucketWidth returns by what x is multiplied to give its bucket.
func (s *Sampler) bucketWidth(n int) float64 {
	lowest := 0.0
	for _, x := range s.x[:n] {
		if x < lowest {
			lowest = x
		}
	}
	if lowest > -1e-300 {
		return 0 // as good as equal: one bucket
	}
	return (bucketCount - 1) / max(lowest, -farthest)
}

// bucket returns the bucket of x. It never decreases as x falls.
func bucket(x, width float64) int {
	return int(min(x*width, bucketCount-1))
}

// reach returns the first bucket with which the running sum reaches limit, and
// the sum before it. If rounding leaves all of them short of it, that is the
// last bucket with anything in it.
func (s *Sampler) reach(limit float64) (b int, above float64) {
	running := 0.0
	for i, v := range s.buckets {
		if v == 0 {
			continue
		}
		b, above = i, running
		if running += v; running >= limit {
			break
		}
	}
	return b, above
}

// sortBucket sets s.order to the candidates of a bucket, best first, of equal
// ones the lowest id first.
func (s *Sampler) sortBucket(n, b int, width float64) {
	s.order = s.order[:0]
	for i, x := range s.x[:n] {
		if bucket(x, width) == b {
			s.order = append(s.order, int32(i))
		}
	}
	slices.SortFunc(s.order, func(i, j int32) int {
		switch {
		case s.x[i] > s.x[j]:
			return -1
		case s.x[i] < s.x[j]:
			return 1
		}
		return int(i - j)
	})
}
