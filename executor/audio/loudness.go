package audio

import "math"

// biquad is a filter of two poles, a[0] being 1.
type biquad struct{ b, a [3]float64 }

// apply filters x in place.
func (f biquad) apply(x []float64) {
	var s1, s2 float64
	for i, v := range x {
		y := f.b[0]*v + s1
		s1 = f.b[1]*v - f.a[1]*y + s2
		s2 = f.b[2]*v - f.a[2]*y
		x[i] = y
	}
}

// kWeighting are the filters of ITU-R BS.1770, whose coefficients at 48 kHz the
// recommendation lists, for any rate.
//
// Source: De Man, Evaluation of implementations of the EBU R128 loudness measurement, 2018.
func kWeighting(rate float64) [2]biquad {
	const (
		shelf, shelfQ, shelfDB = 1681.9744509555319, 0.7071752369554193, 3.99984385397
		pass, passQ            = 38.13547087613982, 0.5003270373253953
	)
	k := math.Tan(math.Pi * shelf / rate)
	high := math.Pow(10, shelfDB/20)
	middle := math.Pow(high, 0.499666774155)
	c := 1 + k/shelfQ + k*k
	first := biquad{
		b: [3]float64{(high + middle*k/shelfQ + k*k) / c, 2 * (k*k - high) / c, (high - middle*k/shelfQ + k*k) / c},
		a: [3]float64{1, 2 * (k*k - 1) / c, (1 - k/shelfQ + k*k) / c},
	}
	k = math.Tan(math.Pi * pass / rate)
	c = 1 + k/passQ + k*k
	return [2]biquad{first, {b: [3]float64{1, -2, 1}, a: [3]float64{1, 2 * (k*k - 1) / c, (1 - k/passQ + k*k) / c}}}
}

// Loudness is how loud a clip is heard, LUFS: blocks of 0.4 s that are softer than -70, or
// 10 less than the mean of the others, don't count. Of channels 4 and 5, which stand
// behind, each counts 1.41 times. A clip without such blocks has minus infinity.
//
// Source: ITU-R BS.1770-4.
func (c *Clip) Loudness() float64 {
	block, step := int(math.Round(0.4*float64(c.Rate))), 0.1*float64(c.Rate)
	if c.Len() < block {
		return math.Inf(-1)
	}
	n := int(math.Round((float64(c.Len())/float64(c.Rate)-0.4)/0.1)) + 1
	powers := make([]float64, n) // of blocks, channels weighted
	for ch := range c.Channels {
		x := make([]float64, c.Len())
		for t := range x {
			x[t] = float64(c.Samples[t*c.Channels+ch])
		}
		for _, f := range kWeighting(float64(c.Rate)) {
			f.apply(x)
		}
		weight := 1.0
		if ch == 3 || ch == 4 {
			weight = 1.41
		}
		for i := range powers {
			from := int(float64(i) * step)
			sum := 0.0
			for _, v := range x[from:min(from+block, len(x))] {
				sum += v * v
			}
			powers[i] += weight * sum / float64(block)
		}
	}
	mean := func(above float64) float64 {
		sum, n := 0.0, 0
		for _, p := range powers {
			if lufs(p) > above {
				sum, n = sum+p, n+1
			}
		}
		if n == 0 {
			return 0
		}
		return sum / float64(n)
	}
	gate := max(-70, lufs(mean(-70))-10)
	return lufs(mean(gate))
}

func lufs(power float64) float64 { return -0.691 + 10*math.Log10(power) }
