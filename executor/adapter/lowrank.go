package adapter

import "math"

// LowRank is the adapter of one weight W [out, in], in float64.
type LowRank struct {
	In, Rank  int
	Scale     float64
	A, B      []float64 // [rank, in] and [out, rank]
	Magnitude []float64 // [out], or nil
}

// Delta computes a row of the difference: d = scale B[row] A.
func (l *LowRank) Delta(row int, d []float64) {
	clear(d)
	for k := range l.Rank {
		f := l.Scale * l.B[row*l.Rank+k]
		for i, x := range l.A[k*l.In : (k+1)*l.In] {
			d[i] += f * x
		}
	}
}

// Merge adds a row of the difference to the row w, and brings the sum to the
// length that the magnitude says, if there is one:
//
//	v = w + d     or     v = m (w + d) / |w + d|
//
// d is overwritten.
func (l *LowRank) Merge(row int, w, d []float64) {
	l.Delta(row, d)
	var sum float64
	for i := range w {
		w[i] += d[i]
		sum += w[i] * w[i]
	}
	if l.Magnitude == nil {
		return
	}
	s := l.Magnitude[row] / math.Sqrt(sum)
	for i := range w {
		w[i] *= s
	}
}

// transposed is the adapter of the transpose of a weight with out rows.
func (l *LowRank) transposed(out int) *LowRank {
	t := &LowRank{In: out, Rank: l.Rank, Scale: l.Scale, A: make([]float64, len(l.B)), B: make([]float64, len(l.A))}
	for k := range l.Rank {
		for o := range out {
			t.A[k*out+o] = l.B[o*l.Rank+k]
		}
		for i := range l.In {
			t.B[i*l.Rank+k] = l.A[k*l.In+i]
		}
	}
	return t
}
