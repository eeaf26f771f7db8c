package mp3

import (
	"math"
	"sync"
)

// reorder brings the lines of short windows, which stand window after window in each band,
// into the order of their frequencies, the windows beside each other. It returns from
// where on all are 0.
func reorder(x *[576]float32, g *granule, top int) int {
	var was [576]float32
	for i := g.long; i+3 < len(g.edges); i += 3 {
		from, to := int(g.edges[i]), int(g.edges[i+3])
		if from >= top {
			return top
		}
		n := (to - from) / 3
		copy(was[:3*n], x[from:to])
		for k := range n {
			x[from+3*k], x[from+3*k+1], x[from+3*k+2] = was[k], was[n+k], was[2*n+k]
		}
		if to >= top {
			return to
		}
	}
	return top
}

// smooth undoes at the borders of subbands with long windows what their overlap has mixed.
//
// Source: ISO/IEC 11172-3, 2.4.3.4 and table B.9.
func smooth(x *[576]float32, longs, top int) {
	t := transforms()
	for sb := 18; sb < 18*longs && sb < top+8; sb += 18 {
		under, over := (*[8]float32)(x[sb-8:]), (*[8]float32)(x[sb:])
		for i := range over {
			u, o := under[7-i], over[i]
			under[7-i] = u*t.keep[i] - o*t.take[i]
			over[i] = o*t.keep[i] + u*t.take[i]
		}
	}
}

// transform turns the lines of 32 subbands into 18 samples of each, of which every second
// of every second subband is negated, as the filters want it.
//
// Source: ISO/IEC 11172-3, 2.4.3.4.
func (c *channel) transform(x *[576]float32, g *granule, longs, top int, sub *[18][32]float32) {
	t := transforms()
	low := 0 // subbands with the usual window
	if g.mixed {
		low = 2
		if g.short() {
			low = longs
		}
	}
	for sb := range 32 {
		over := &c.overlap[sb]
		if 18*sb >= top+8 { // with what smooth has brought into the next
			for i := range over {
				sub[i][sb], over[i] = over[i], 0
			}
			continue
		}
		window := g.window
		if sb < low {
			window = longWindow
		}
		lines := (*[18]float32)(x[18*sb:])
		if window == shortWindow {
			short(lines, over, &t.short[sb&1], sub, sb)
		} else {
			long(lines, over, &t.long[window][sb&1], sub, sb)
		}
	}
}

// long is the inverse transform of 18 lines with a window of 36 samples. The first half is
// added to the half before, and the second is left for the next.
//
//	y[i] = w[i] sum_k x[k] cos(pi/72 (2i + 19)(2k + 1))    i = 0..35
//
// By 2 cos(a) cos((2k+1)a) = cos(2ka) + cos((2k+2)a) it is a cosine transform of sums of
// neighbours, over 2 cos(a), which w has in it; and that one is two of half the size.
func long(x, over *[18]float32, w *[36]float32, sub *[18][32]float32, sb int) {
	var even, odd [9]float32
	even[0], odd[0] = x[0], x[1]+x[0]
	last := odd[0]
	for k := 1; k < 9; k++ {
		even[k] = x[2*k] + x[2*k-1]
		next := x[2*k+1] + x[2*k]
		odd[k] = next + last
		last = next
	}
	cosines9(&even)
	cosines9(&odd)
	for m, half := range &halves9 {
		e, o := even[m], odd[m]*half
		lo, hi := e+o, e-o // of m, and of 17-m
		sub[8-m][sb] = over[8-m] + hi*w[8-m]
		sub[9+m][sb] = over[9+m] + hi*w[9+m]
		over[8-m] = lo * w[26-m]
		over[9+m] = lo * w[27+m]
	}
}

// halves9 are 1 / 2 cos((2m+1) pi/36).
var halves9 = [9]float32{
	0.50190991877167369479, 0.51763809020504152470, 0.55168895948124587825,
	0.61038729438072803416, 0.70710678118654752440, 0.87172339781054900992,
	1.18310079157624925897, 1.93185165257813657350, 5.73685662283492756461,
}

// cosines9 computes y[m] = sum_k x[k] cos(pi/18 (2m+1) k), in place. Of lines with even k
// y[8-m] has what y[m] has, and of odd ones the negative.
func cosines9(x *[9]float32) {
	const (
		c10, c30, c50, c70 = 0.98480775301220805937, 0.86602540378443864676, 0.64278760968653932632, 0.34202014332566873304
		c20, c40, c80      = 0.93969262078590838405, 0.76604444311897803520, 0.17364817766693034885
	)
	p, q, mid := x[2]+x[4], x[2]+x[8], x[2]-x[4]-x[8]
	a, b := x[0]+0.5*x[6], x[0]-x[6]
	e0 := a + c40*p + c80*q
	e1 := b + 0.5*mid
	e2 := a - c20*p + c40*q
	e3 := a + c80*p - c20*q
	r, s, c := x[1]+x[5], x[1]+x[7], c30*x[3]
	o0 := c + c50*r + c70*s
	o1 := c30 * (x[1] - x[5] - x[7])
	o2 := c10*s - c70*r - c
	o3 := c10*r - c50*s - c
	x[0], x[8] = e0+o0, e0-o0
	x[1], x[7] = e1+o1, e1-o1
	x[2], x[6] = e2+o2, e2-o2
	x[3], x[5] = e3+o3, e3-o3
	x[4] = b - mid
}

// short is three inverse transforms of 6 lines, with windows of 12 samples, one third
// after the other in the middle of 36.
func short(x, over *[18]float32, w *[12]float32, sub *[18][32]float32, sb int) {
	var y [36]float32
	for i := range 3 {
		x0, x1, x2, x3, x4, x5 := x[i], x[3+i], x[6+i], x[9+i], x[12+i], x[15+i]
		e0, e1, e2 := cosines3(x0, x2+x1, x4+x3)
		o0, o1, o2 := cosines3(x1+x0, x3+x2+x1+x0, x5+x4+x3+x2)
		o0, o1, o2 = o0*halves3[0], o1*halves3[1], o2*halves3[2]
		to := (*[12]float32)(y[6+6*i:])
		for m, v := range [3][2]float32{{e0 - o0, e0 + o0}, {e1 - o1, e1 + o1}, {e2 - o2, e2 + o2}} {
			to[2-m] += v[0] * w[2-m]
			to[3+m] += v[0] * w[3+m]
			to[8-m] += v[1] * w[8-m]
			to[9+m] += v[1] * w[9+m]
		}
	}
	for i := range over {
		sub[i][sb] = over[i] + y[i]
		over[i] = y[18+i]
	}
}

// halves3 are 1 / 2 cos((2m+1) pi/12).
var halves3 = [3]float32{0.51763809020504152470, 0.70710678118654752440, 1.93185165257813657350}

// cosines3 computes y[m] = sum_k x[k] cos(pi/6 (2m+1) k).
func cosines3(x0, x1, x2 float32) (y0, y1, y2 float32) {
	const c30 = 0.86602540378443864676
	a, b := x0+0.5*x2, c30*x1
	return a + b, x0 - x2, a - b
}

// tables of the transforms.
type transformTables struct {
	long       [4][2][36]float32 // windows by kind, and whether every second sample is negated
	short      [2][12]float32
	keep, take [8]float32 // of smooth
}

var transforms = sync.OnceValue(func() *transformTables {
	var t transformTables
	for i, c := range [8]float64{-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037} {
		r := math.Sqrt(1 + c*c)
		t.keep[i], t.take[i] = float32(1/r), float32(c/r)
	}
	sign := [2]float64{1, 1}
	for i := range 36 {
		v := unfolded(i, 18)
		for kind := range t.long {
			for odd := range 2 {
				t.long[kind][odd][i] = float32(v * shape(kind, i) * sign[odd])
			}
		}
		sign[1] = -sign[1]
	}
	for i := range 12 {
		for odd := range 2 {
			v := unfolded(i, 6) * math.Sin(math.Pi/12*(float64(i)+0.5))
			t.short[odd][i] = float32(v * sign[odd])
		}
		sign[1] = -sign[1]
	}
	return &t
})

// unfolded is by what sample i of an inverse transform is the value that it is made of: its
// sign, and what the transform leaves over.
func unfolded(i, n int) float64 {
	m, sign := i+n/2, 1.0
	switch {
	case m >= 2*n:
		m, sign = m-2*n, -1
	case m >= n:
		m, sign = 2*n-1-m, -1
	}
	return sign / (2 * math.Cos(float64(2*m+1)*math.Pi/float64(4*n)))
}

// shape is the window of a kind, which is not the short one.
//
// Source: ISO/IEC 11172-3, 2.4.3.4.
func shape(kind, i int) float64 {
	if kind == stopWindow {
		return shape(startWindow, 35-i)
	}
	switch {
	case kind == longWindow || i < 18:
		return math.Sin(math.Pi / 36 * (float64(i) + 0.5))
	case i < 24:
		return 1
	case i < 30:
		return math.Sin(math.Pi / 12 * (float64(i-18) + 0.5))
	}
	return 0
}
