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
	low, high := 0., 0.
	for _, v := range x {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	if high == low {
		return 0, 0
	}
	best := math.Inf(1)
	for try := -6; try <= 6; try++ {
		s := (high - low) / (float64(most) + float64(try)/8)
		s, m := leastLine(x, s, -low, most)
		var e float64
		for _, v := range x {
			d := float64(v) - (float64(float64(levelOf(v, float32(s), float32(m), most))*s) - m)
			e += float64(d * d)
		}
		if e < best {
			best, scale, minimum = e, float32(s), float32(m)
		}
	}
	return scale, minimum
}

// leastLine is the line through the levels that x takes with the given scale
// and minimum, by least squares.
func leastLine(x []float32, scale, minimum float64, most int) (s, m float64) {
	var n, q1, q2, x1, qx float64
	for _, v := range x {
		q := float64(levelOf(v, float32(scale), float32(minimum), most))
		n++
		q1 += q
		q2 += float64(q * q)
		x1 += float64(v)
		qx += float64(q * float64(v))
	}
	if det := float64(n*q2) - float64(q1*q1); det > 0 {
		s, m = (float64(n*qx)-float64(q1*x1))/det, (float64(q1*qx)-float64(q2*x1))/det
	}
	if m < 0 && q2 > 0 {
		s, m = qx/q2, 0
	}
	if s <= 0 {
		return scale, minimum
	}
	return s, m
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
	var scale float32
	best := math.Inf(1)
	for try := -8; try <= 8; try++ {
		s := most / -(float64(middle) + float64(try)/8)
		var q2, qx, xx float64
		for _, v := range x {
			q := float64(levelAround(v, float32(s), middle))
			q2 += float64(q * q)
			qx += float64(q * float64(v))
			xx += float64(float64(v) * float64(v))
		}
		if q2 == 0 {
			continue
		}
		if e := xx - float64(qx*qx)/q2; e < best {
			best, scale = e, float32(qx/q2)
		}
	}
	return scale
}
