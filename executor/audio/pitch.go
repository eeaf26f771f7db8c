package audio

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Yin describes how the pitch of a signal is found.
type Yin struct {
	Low, High  float64 // bounds of the pitch, Hz
	Frame, Hop int     // samples that are looked at, and from one to the next
	Threshold  float64 // a period is taken if what differs from the one before is below it; librosa has 0.1
}

// Pitch is the frequency of the tone in each frame, Hz: frames lie a hop apart, the first
// one's middle at the first sample. A frame without a tone has whatever fits it best.
// clear is from 0 on, how much of a frame differs from what it was a period before: noise has about 1.
//
// Source: De Cheveigné and Kawahara, YIN, 2002; as librosa.yin.
func (a Yin) Pitch(x []float32, rate int) (hz, clear []float64, err error) {
	err = a.frames(x, rate, func(d []float64, least int) {
		at := a.period(d)
		hz = append(hz, float64(rate)/(float64(least+at)+vertex(d, at)))
		clear = append(clear, d[at])
	})
	return hz, clear, err
}

// frames gives, for each frame, how much it differs from itself each of the periods later, and the least of these.
func (a Yin) frames(x []float32, rate int, see func(d []float64, least int)) error {
	least := int(math.Floor(float64(rate) / a.High))
	most := min(int(math.Ceil(float64(rate)/a.Low)), a.Frame-1)
	if a.Low <= 0 || a.High <= a.Low || least < 1 || most-least < 2 || a.Hop < 1 {
		return fmt.Errorf("pitch from %g to %g Hz in frames of %d at %d Hz: want a range of some periods within a frame", a.Low, a.High, a.Frame, rate)
	}
	last := len(x) + a.Frame/2 - (a.Frame - a.Frame/2)
	for first := 0; first <= last; first += yinAhead * a.Hop {
		found := make([][]float64, min(yinAhead, (last-first)/a.Hop+1))
		a.together(x, first, found, least, most)
		for _, d := range found {
			see(d, least)
		}
	}
	return nil
}

// yinAhead is how many frames are looked at by all processors before they are told of.
const yinAhead = 64

// together finds what frames differ by from the one with a middle at first on.
func (a Yin) together(x []float32, first int, found [][]float64, least, most int) {
	size := 1
	for size < 2*a.Frame {
		size *= 2
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(found)) {
		wait.Go(func() {
			fft := fourier.NewFFT(size)
			frame, sums := make([]float64, size), make([]float64, a.Frame+1)
			for n := int(next.Add(1)) - 1; n < len(found); n = int(next.Add(1)) - 1 {
				for t := range a.Frame {
					frame[t] = 0
					if i := first + n*a.Hop - a.Frame/2 + t; i >= 0 && i < len(x) {
						frame[t] = float64(x[i])
					}
					sums[t+1] = sums[t] + frame[t]*frame[t]
				}
				found[n] = difference(fft, frame, sums, least, most)
			}
		})
	}
	wait.Wait()
}

// difference is how much a frame differs from itself some samples later, divided by the
// mean of that up to there: for periods from least to most.
func difference(fft *fourier.FFT, frame, sums []float64, least, most int) []float64 {
	bins := fft.Coefficients(nil, frame)
	for k, v := range bins {
		bins[k] = complex(real(v)*real(v)+imag(v)*imag(v), 0)
	}
	like := fft.Sequence(nil, bins)
	n := float64(len(frame))
	out, total := make([]float64, 0, most-least+1), 0.0
	for k := 1; k <= most; k++ {
		d := 2*(like[0]-like[k])/n - sums[k]
		if total += d; k >= least {
			out = append(out, d/(total/float64(k)+math.SmallestNonzeroFloat64))
		}
	}
	return out
}

// period is the first trough below the threshold, or else the least of all.
func (a Yin) period(d []float64) int {
	best := 0
	for i, v := range d {
		if trough(d, i) && v < a.Threshold {
			return i
		}
		if v < d[best] {
			best = i
		}
	}
	return best
}

// trough reports whether a value is less than the one before it and no more than the one after.
func trough(d []float64, i int) bool {
	return i == 0 && d[0] < d[1] || i > 0 && d[i] < d[i-1] && (i+1 == len(d) || d[i] <= d[i+1])
}

// vertex is how far the vertex of the parabola through a value and its neighbours lies.
func vertex(d []float64, i int) float64 {
	if i == 0 || i+1 == len(d) {
		return 0
	}
	a, b := d[i+1]+d[i-1]-2*d[i], (d[i+1]-d[i-1])/2
	if math.Abs(b) >= math.Abs(a) {
		return 0
	}
	return -b / a
}
