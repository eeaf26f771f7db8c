package audio

import (
	"fmt"
	"math"
)

// Filter describes the low-pass filter of a change of rate: a sinc under a window of
// Kaiser.
type Filter struct {
	Zeros   float64 // crossings of zero on each side
	Rolloff float64 // its cutoff, as a share of half the lower rate
	Beta    float64 // of the window
}

// Standard stops what the new rate can't hold by 120 dB, from half the lower rate on, and
// passes what is below 0.939 of that.
//
// Source: Kaiser's formulas: beta = 0.1102, and a transition of (A-7.95)/14.36
// divided by the length, for A of 120 dB.
var Standard = Filter{Zeros: 128, Rolloff: 0.9695, Beta: 12.265}

// mostPhases bounds the table of taps. Beyond, taps are computed as they are needed.
const mostPhases = 1 << 13

// Resampler changes the rate of a signal that comes in parts. Whatever the parts, it
// gives the same bits.
//
//	y[n] = sum over i of x[i] h(n*from/to - i), for ceil(samples*to/from) of them
type Resampler struct {
	up, down int // the ratio in lowest terms: to, from
	filter   Filter
	width    float64 // of h on each side, in samples of x
	taps     []phase // by n mod up; nil if there are too many
	x        []float32
	first    int // the number of the first sample of x that is kept
	read     int // how many came
	given    int // results
}

// phase is how samples around a result are weighted.
type phase struct {
	before int // the first lies so many before floor(n*down/up)
	weight []float64
}

// NewResampler makes one. Rates are samples a second.
func NewResampler(from, to int, f Filter) (*Resampler, error) {
	if from < 1 || to < 1 || f.Zeros <= 0 || f.Rolloff <= 0 || f.Rolloff > 1 {
		return nil, fmt.Errorf("from %d to %d Hz with %g zeros and rolloff %g: want rates and zeros above 0, and a rolloff up to 1", from, to, f.Zeros, f.Rolloff)
	}
	g := gcd(from, to)
	r := &Resampler{up: to / g, down: from / g, filter: f}
	r.width = f.Zeros / r.cutoff()
	if r.up <= mostPhases {
		r.taps = make([]phase, r.up)
		for n := range r.taps {
			r.taps[n] = r.phase(n)
		}
	}
	return r, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// cutoff is the filter's, as a share of half the rate of x.
func (r *Resampler) cutoff() float64 {
	return r.filter.Rolloff * float64(min(r.up, r.down)) / float64(r.down)
}

// phase computes the taps of result n, whose place in x is n*down/up.
func (r *Resampler) phase(n int) phase {
	at := float64(n*r.down%r.up) / float64(r.up) // beyond a sample
	lo, hi := int(math.Ceil(at-r.width)), int(math.Floor(at+r.width))
	p, c := phase{before: -lo}, r.cutoff()
	whole := bessel(r.filter.Beta)
	for i := lo; i <= hi; i++ {
		t := (float64(i) - at) * c
		rest := max(0, 1-t*t/(r.filter.Zeros*r.filter.Zeros))
		w := c * bessel(r.filter.Beta*math.Sqrt(rest)) / whole
		if t != 0 {
			w *= math.Sin(math.Pi*t) / (math.Pi * t)
		}
		p.weight = append(p.weight, w)
	}
	return p
}

// bessel is the modified function of the first kind of order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-18*sum; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}

// Push appends what can be said of the signal after some more samples.
func (r *Resampler) Push(dst, x []float32) []float32 {
	r.x = append(r.x, x...)
	r.read += len(x)
	reach := int(r.width) + 1
	for r.given*r.down/r.up+reach < r.read {
		dst = append(dst, r.next())
	}
	if keep := r.given*r.down/r.up - reach - r.first; keep > len(r.x)/2 {
		keep = min(keep, len(r.x))
		r.x, r.first = append(r.x[:0], r.x[keep:]...), r.first+keep
	}
	return dst
}

// Finish appends the rest. The resampler stands at the beginning again.
func (r *Resampler) Finish(dst []float32) []float32 {
	for r.given < (r.read*r.up+r.down-1)/r.down {
		dst = append(dst, r.next())
	}
	r.x, r.first, r.read, r.given = r.x[:0], 0, 0, 0
	return dst
}

// next computes a result.
func (r *Resampler) next() float32 {
	var p phase
	if r.taps != nil {
		p = r.taps[r.given%r.up]
	} else {
		p = r.phase(r.given)
	}
	lo := r.given*r.down/r.up - p.before - r.first
	w := p.weight
	if lo < 0 {
		w, lo = w[min(-lo, len(w)):], 0
	}
	x := r.x[min(lo, len(r.x)):]
	n := min(len(w), len(x))
	w, x = w[:n], x[:n]
	var a, b, c, d float64
	for ; len(w) >= 4; w, x = w[4:], x[4:] {
		a += w[0] * float64(x[0])
		b += w[1] * float64(x[1])
		c += w[2] * float64(x[2])
		d += w[3] * float64(x[3])
	}
	for i, v := range w {
		a += v * float64(x[i])
	}
	r.given++
	return float32((a + b) + (c + d))
}

// Resample returns the clip at another rate, by the standard filter: c itself if it has
// that rate. Of n samples it makes ceil(n*rate/c.Rate).
func (c *Clip) Resample(rate int) (*Clip, error) {
	if rate == c.Rate {
		return c, nil
	}
	r, err := NewResampler(c.Rate, rate, Standard)
	if err != nil {
		return nil, err
	}
	out := &Clip{Rate: rate, Channels: c.Channels}
	for ch := range c.Channels {
		y := r.Finish(r.Push(nil, c.Channel(ch)))
		if c.Channels == 1 {
			out.Samples = y
			break
		}
		if out.Samples == nil {
			out.Samples = make([]float32, len(y)*c.Channels)
		}
		for t, v := range y {
			out.Samples[t*c.Channels+ch] = v
		}
	}
	return out, nil
}
