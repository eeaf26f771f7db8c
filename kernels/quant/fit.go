package quant

import "math"

// blockFit is scale and minimum of each small block of a super-block, and the
// scales in which these are to be stored.
type blockFit struct {
	scales, minima []float32
	d, dmin        float32
	most           float32 // greatest level of a scale
}

// fitBlocks fits x = q scale - minimum, q in 0 ... most, to each size weights;
// scales and minima are to be stored in levels 0 ... mostScale.
func fitBlocks(src []float32, size, most, mostScale int) blockFit {
	f := blockFit{most: float32(mostScale)}
	for lo := 0; lo < len(src); lo += size {
		s, m := fitAffine(src[lo:lo+size], most)
		f.scales, f.minima = append(f.scales, s), append(f.minima, m)
		f.d, f.dmin = max(f.d, s/f.most), max(f.dmin, m/f.most)
	}
	return f
}

// quantised is scale and minimum of block b as levels of d and dmin.
func (f blockFit) quantised(b int, d, dmin float32) (scale, minimum byte) {
	return levelOf(f.scales[b], d, 0, int(f.most)), levelOf(f.minima[b], dmin, 0, int(f.most))
}

// fitAffine finds scale >= 0 and minimum >= 0 of little squared error: of some
// ranges about that of x, it takes the levels, and for these the line of least
// squares.
func fitAffine(x []float32, most int) (scale, minimum float32) {
	low, high := float32(0), float32(0)
	var l line
	for _, v := range x {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
		l.x += float64(v)
		l.xx += float64(float64(v) * float64(v))
	}
	if high == low {
		return 0, 0
	}
	span := float64(high) - float64(low)
	best := math.Inf(1)
	for try := -6; try <= 6; try++ {
		s := span / (float64(most) + float64(try)/8)
		l.levels(x, float32(1/s), -low, int32(most))
		s, m := l.least(s, -float64(low))
		if e := l.error(s, m); e < best {
			best, scale, minimum = e, float32(s), float32(m)
		}
	}
	return scale, minimum
}

// line is the sums of which a line x = q s - m through levels q is found.
type line struct {
	n, q, qq  float64
	x, xx, qx float64
}

// levels takes the levels of x, (x + minimum) inverse rounded, which must be
// small numbers.
func (l *line) levels(x []float32, inverse, minimum float32, most int32) {
	var q1, q2 int32
	var qx float64
	for _, v := range x {
		q := rounded(float32((v + minimum) * inverse))
		if q > most {
			q = most
		}
		if q < 0 {
			q = 0
		}
		q1 += q
		q2 += q * q
		qx += float64(float64(q) * float64(v))
	}
	l.n, l.q, l.qq, l.qx = float64(len(x)), float64(q1), float64(q2), qx
}

// least is the line of least squares, if it has s > 0 and m >= 0.
func (l *line) least(scale, minimum float64) (s, m float64) {
	if det := float64(l.n*l.qq) - float64(l.q*l.q); det > 0 {
		s, m = (float64(l.n*l.qx)-float64(l.q*l.x))/det, (float64(l.q*l.qx)-float64(l.qq*l.x))/det
	}
	if m < 0 && l.qq > 0 {
		s, m = l.qx/l.qq, 0
	}
	if s <= 0 {
		return scale, minimum
	}
	return s, m
}

// error is the sum of squared errors of a line.
func (l *line) error(s, m float64) float64 {
	return l.xx + float64(s*float64(s*l.qq)) + float64(l.n*float64(m*m)) - float64(2*float64(s*l.qx)) + float64(2*float64(m*l.x)) - float64(2*float64(s*float64(m*l.q)))
}

// rounded is the whole number nearest to x, of two the even one, for |x| below
// 2^22.
func rounded(x float32) int32 {
	const magic = 3 << 22 // whose last bit is 1
	return int32(math.Float32bits(x+magic)) - int32(math.Float32bits(magic))
}

// fitScales fits x = q scale, q in -middle ... middle-1, to each 16 weights,
// and returns the scales, and the scale in which these are to be stored in
// levels -middleScale ... middleScale-1.
func fitScales(src []float32, middle, middleScale int) (scales []float32, d float32) {
	for lo := 0; lo < len(src); lo += 16 {
		scales = append(scales, fitScale(src[lo:lo+16], middle))
	}
	return scales, largest(scales) / -float32(middleScale)
}

// fitScale finds a scale of little squared error, as fitAffine does. The
// weight of greatest magnitude lies near level -middle.
func fitScale(x []float32, middle int) float32 {
	most := float64(largest(x))
	if most == 0 {
		return 0
	}
	var xx float64
	for _, v := range x {
		xx += float64(float64(v) * float64(v))
	}
	var scale float32
	best := math.Inf(1)
	for try := -8; try <= 8; try++ {
		inverse := float32(-(float64(middle) + float64(try)/8) / most)
		var q2 int32
		var qx float64
		for _, v := range x {
			q := rounded(float32(v * inverse))
			if q >= int32(middle) {
				q = int32(middle) - 1
			}
			if q < -int32(middle) {
				q = -int32(middle)
			}
			q2 += q * q
			qx += float64(float64(q) * float64(v))
		}
		if q2 == 0 {
			continue
		}
		if e := xx - float64(qx*qx)/float64(q2); e < best {
			best, scale = e, float32(qx/float64(q2))
		}
	}
	return scale
}
