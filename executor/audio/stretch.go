package audio

import (
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/dsp/fourier"
)

// stretchFrame and stretchHop are the frames of the phase vocoder, as librosa's.
const (
	stretchFrame = 2048
	stretchHop   = stretchFrame / 4
)

// Stretch returns a signal that goes rate times as fast, at the same pitch, by a phase
// vocoder: len(x)/rate samples, rounded.
//
// Source: Ellis, A phase vocoder in Matlab, 2002; as librosa.effects.time_stretch.
func Stretch(x []float32, rate float64) []float32 {
	n := int(math.RoundToEven(float64(len(x)) / rate))
	frames := analysed(x)
	bins := stretchFrame/2 + 1
	fft := fourier.NewFFT(stretchFrame)
	phase := make([]float64, bins)
	for k, v := range frames[0] {
		phase[k] = cmplx.Phase(v)
	}
	steps := int(math.Ceil(float64(len(frames)) / rate))
	silent := make([]complex128, bins)
	at := func(i int) []complex128 {
		if i < len(frames) {
			return frames[i]
		}
		return silent
	}
	y := make([]float64, stretchFrame+stretchHop*max(0, steps-1))
	weight := make([]float64, len(y))
	window, spectrum := hann(), make([]complex128, bins)
	for s := range steps {
		place := float64(s) * rate
		i := int(place)
		part := place - float64(i)
		a, b := at(i), at(i+1)
		for k := range bins {
			size := (1-part)*cmplx.Abs(a[k]) + part*cmplx.Abs(b[k])
			spectrum[k] = cmplx.Rect(size, phase[k])
			usual := math.Pi * float64(stretchHop) * float64(k) / float64(bins-1)
			more := cmplx.Phase(b[k]) - cmplx.Phase(a[k]) - usual
			more -= 2 * math.Pi * math.RoundToEven(more/(2*math.Pi))
			phase[k] += usual + more
		}
		spectrum[0], spectrum[bins-1] = complex(real(spectrum[0]), 0), complex(real(spectrum[bins-1]), 0)
		for t, v := range fft.Sequence(nil, spectrum) {
			y[s*stretchHop+t] += v / stretchFrame * window[t]
			weight[s*stretchHop+t] += window[t] * window[t]
		}
	}
	out := make([]float32, n)
	for t := range out {
		if i := t + stretchFrame/2; i < len(y) {
			if weight[i] > 1e-38 {
				y[i] /= weight[i]
			}
			out[t] = float32(y[i])
		}
	}
	return out
}

// analysed are the transforms of windowed frames whose middles lie a hop apart, with
// zeros around x.
func analysed(x []float32) [][]complex128 {
	fft, window := fourier.NewFFT(stretchFrame), hann()
	var out [][]complex128
	frame := make([]float64, stretchFrame)
	for middle := 0; middle <= len(x); middle += stretchHop {
		for t := range frame {
			frame[t] = 0
			if i := middle - stretchFrame/2 + t; i >= 0 && i < len(x) {
				frame[t] = float64(x[i]) * window[t]
			}
		}
		out = append(out, fft.Coefficients(nil, frame))
	}
	return out
}

func hann() []float64 {
	w := make([]float64, stretchFrame)
	for t := range w {
		w[t] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(t)/stretchFrame)
	}
	return w
}

// Pitch returns a signal as long as x whose tones are so many semitones higher.
func Pitch(x []float32, semitones float64) ([]float32, error) {
	factor := math.Pow(2, semitones/12)
	return Speed(Stretch(x, 1/factor), factor, len(x))
}

// quick is the filter of changes of speed, which need not be as good as those of rates.
var quick = Filter{Zeros: 24, Rolloff: 0.9, Beta: 8.5}

// Speed plays x so many times as fast, so that it is higher, too, and gives n samples of
// it, zeros behind; all of them, if n is 0.
func Speed(x []float32, factor float64, n int) ([]float32, error) {
	const fine = 400
	r, err := NewResampler(int(math.Round(factor*fine)), fine, quick)
	if err != nil {
		return nil, err
	}
	y := r.Finish(r.Push(nil, x))
	if n == 0 {
		return y, nil
	}
	out := make([]float32, n)
	copy(out, y)
	return out, nil
}

// Convolve returns x after a room or a filter whose response is h, as long as x.
func Convolve(x, h []float32) []float32 {
	size := 1
	for size < len(x)+len(h) {
		size *= 2
	}
	fft := fourier.NewFFT(size)
	padded := func(v []float32) []complex128 {
		s := make([]float64, size)
		for i, e := range v {
			s[i] = float64(e)
		}
		return fft.Coefficients(nil, s)
	}
	a, b := padded(x), padded(h)
	for k := range a {
		a[k] *= b[k]
	}
	y := fft.Sequence(nil, a)
	out := make([]float32, len(x))
	for t := range out {
		out[t] = float32(y[t] / float64(size))
	}
	return out
}
