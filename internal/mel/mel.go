// Package mel holds the mel scale and its banks of filters: what the compiler puts into
// models, and what tests hold against other programs, are the same numbers.
package mel

import (
	"fmt"
	"math"
)

// Bank describes triangular filters whose middles are equally far apart in mels.
type Bank struct {
	Rate  float64 // samples a second, Hz
	NFFT  int     // elements of a frame; bin k is k*Rate/NFFT Hz
	Mels  int     // how many filters
	Low   float64 // where the first begins, Hz
	High  float64 // where the last ends, Hz; 0 is Rate/2
	Scale string  // "slaney" or "htk"
	Norm  string  // "slaney" divides each by half its width in Hz, "none" leaves their greatest value near 1
}

// Slaney's scale is linear up to 1000 Hz and logarithmic above.
//
// Source: Slaney, Auditory Toolbox, Technical Report 1998-010.
const (
	slaneyStep  = 200.0 / 3 // Hz of a mel below the bend
	slaneyBend  = 1000.0    // Hz
	slaneyAbove = 27        // mels for a factor of 6.4
)

// FromHz is the mel of a frequency.
func FromHz(hz float64, scale string) float64 {
	if scale == "htk" {
		return 2595 * math.Log10(1+hz/700)
	}
	if hz < slaneyBend {
		return hz / slaneyStep
	}
	return slaneyBend/slaneyStep + math.Log(hz/slaneyBend)*slaneyAbove/math.Log(6.4)
}

// ToHz is the frequency of a mel.
func ToHz(m float64, scale string) float64 {
	if scale == "htk" {
		return 700 * (math.Pow(10, m/2595) - 1)
	}
	if bend := slaneyBend / slaneyStep; m >= bend {
		return slaneyBend * math.Exp((m-bend)*math.Log(6.4)/slaneyAbove)
	}
	return m * slaneyStep
}

// Check reports what makes no bank.
func (b Bank) Check() error {
	high := b.high()
	switch {
	case b.NFFT < 2 || b.Mels < 1 || b.Rate <= 0:
		return fmt.Errorf("n_fft is %d, mels %d, rate %g; want at least 2, 1, and more than 0", b.NFFT, b.Mels, b.Rate)
	case b.Low < 0 || b.Low >= high:
		return fmt.Errorf("filters go from %g to %g Hz; want more than nothing, from 0 on", b.Low, high)
	case high > b.Rate/2:
		return fmt.Errorf("high is %g Hz, and a rate of %g has none above %g", high, b.Rate, b.Rate/2)
	}
	return nil
}

func (b Bank) high() float64 {
	if b.High == 0 {
		return b.Rate / 2
	}
	return b.High
}

// Edges are the Mels+2 frequencies at which filters begin, peak and end, Hz: filter m has
// those from m to m+2.
func (b Bank) Edges() []float64 {
	low, high := FromHz(b.Low, b.Scale), FromHz(b.high(), b.Scale)
	out := make([]float64, b.Mels+2)
	for i := range out {
		out[i] = ToHz(low+(high-low)*float64(i)/float64(b.Mels+1), b.Scale)
	}
	return out
}

// Filters are the weights.
//
//	[Mels, NFFT/2+1]
func (b Bank) Filters() []float64 {
	edges, bins := b.Edges(), b.NFFT/2+1
	out := make([]float64, b.Mels*bins)
	for m := range b.Mels {
		left, middle, right := edges[m], edges[m+1], edges[m+2]
		height := 1.0
		if b.Norm == "slaney" {
			height = 2 / (right - left)
		}
		for k := range bins {
			hz := float64(k) * b.Rate / float64(b.NFFT)
			up, down := (hz-left)/(middle-left), (right-hz)/(right-middle)
			out[m*bins+k] = height * max(0, min(up, down))
		}
	}
	return out
}

// Cosines are the rows of the cosine transform of type II.
//
//	y[k, i] = 2 cos(π k (i + 1/2) / n), made orthonormal if ortho   [rows, n]
//
// Source: Ahmed, Natarajan, Rao, Discrete Cosine Transform, 1974.
func Cosines(rows, n int, ortho bool) []float64 {
	out := make([]float64, rows*n)
	for k := range rows {
		scale := 2.0
		if ortho {
			scale = math.Sqrt(2 / float64(n))
			if k == 0 {
				scale = math.Sqrt(1 / float64(n))
			}
		}
		for i := range n {
			out[k*n+i] = scale * math.Cos(math.Pi*float64(k)*(float64(i)+0.5)/float64(n))
		}
	}
	return out
}
