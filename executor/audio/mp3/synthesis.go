package mp3

import (
	"math"
	"sync"
)

// history are the cosine transforms of subbands, by frequency: those of the 15 samples
// before, and of 18.
type history [32][15 + 18]float32

// synthesize makes 32 samples of each of 18 samples of 32 subbands, each so many places
// behind the one before.
//
// The standard has 64 values of each sample of the subbands, V[i] = sum_k cos((16+i)(2k+1) pi/64) S[k],
// and sums of those of the last 16, each with its place of a window. V mirrors the 32
// values of a cosine transform, and so does the window, so that what makes sample j makes
// 32-j as well.
//
// Source: ISO/IEC 11172-3, 2.4.3.2 and figure A.2.
func (h *history) synthesize(sub *[18][32]float32, to []float32, stride int) {
	for i := range h {
		copy(h[i][:15], h[i][18:])
	}
	for t := range sub {
		cosines32(&sub[t], h, 15+t)
	}
	w := windows()
	for t := range sub {
		out := to[32*t*stride:]
		a, b, _, _ := sums(&w[0], h[16][t:], h[16][t:])
		out[0] = a + b
		_, b, _, _ = sums(&w[16], h[0][t:], h[0][t:])
		out[16*stride] = b
		for j := 1; j < 16; j++ {
			a, b, c, d := sums(&w[j], h[16+j][t:], h[16-j][t:])
			out[j*stride] = a + b
			out[(32-j)*stride] = c + d
		}
	}
}

// sums are of the last 16 values of a and b: those of every second of a, from the last on,
// and of b, from the one before it, with the first two rows of w, and with the others. It
// is a loop of i = 0..7, written out so that values and sums stay in registers:
//
//	u, v = x[15-2i], y[14-2i]
func sums(w *[4][8]float32, a, b []float32) (s0, s1, s2, s3 float32) {
	x, y := (*[16]float32)(a), (*[16]float32)(b)
	u, v := x[15], y[14]
	s0 += u * w[0][0]
	s1 += v * w[1][0]
	s2 += u * w[2][0]
	s3 += v * w[3][0]
	u, v = x[13], y[12]
	s0 += u * w[0][1]
	s1 += v * w[1][1]
	s2 += u * w[2][1]
	s3 += v * w[3][1]
	u, v = x[11], y[10]
	s0 += u * w[0][2]
	s1 += v * w[1][2]
	s2 += u * w[2][2]
	s3 += v * w[3][2]
	u, v = x[9], y[8]
	s0 += u * w[0][3]
	s1 += v * w[1][3]
	s2 += u * w[2][3]
	s3 += v * w[3][3]
	u, v = x[7], y[6]
	s0 += u * w[0][4]
	s1 += v * w[1][4]
	s2 += u * w[2][4]
	s3 += v * w[3][4]
	u, v = x[5], y[4]
	s0 += u * w[0][5]
	s1 += v * w[1][5]
	s2 += u * w[2][5]
	s3 += v * w[3][5]
	u, v = x[3], y[2]
	s0 += u * w[0][6]
	s1 += v * w[1][6]
	s2 += u * w[2][6]
	s3 += v * w[3][6]
	u, v = x[1], y[0]
	s0 += u * w[0][7]
	s1 += v * w[1][7]
	s2 += u * w[2][7]
	s3 += v * w[3][7]
	return s0, s1, s2, s3
}

// windows are the places of the window by sample, as sums wants them.
var windows = sync.OnceValue(func() *[17][4][8]float32 {
	d := func(i int) float32 {
		switch {
		case i <= 256:
			return float32(window[i]) / (1 << 16)
		case i%64 == 0:
			return float32(window[512-i]) / (1 << 16)
		}
		return float32(-window[512-i]) / (1 << 16)
	}
	var w [17][4][8]float32
	for j := range w {
		for i := range 8 {
			w[j][1][i] = -d(64*i + 32 + j)
			if j < 16 { // the value in the middle of V is 0
				w[j][0][i] = d(64*i + j)
				w[j][2][i] = -d(64*i + 32 - j)
				w[j][3][i] = -d(64*i + 64 - j)
			}
		}
	}
	return &w
})

// cosines32 computes y[j] = sum_k x[k] cos(pi/64 (2k+1) j) into the column at of h.
//
// It is two transforms of half the size, of sums and differences of x[k] and x[31-k]: those
// of differences over 2 cos(pi/64 (2k+1)) give y[2j+1] as sums of two neighbours. So it is
// four of a quarter of the size: of a and b for even j, of c and d for odd ones.
//
// Source: B. G. Lee, A new algorithm to compute the discrete cosine transform, 1984.
func cosines32(x *[32]float32, h *history, at int) {
	var a, b, c, d [9]float32 // the last is 0
	f := halvings()
	for k := range 8 {
		x0, x1, x2, x3 := x[k], x[15-k], x[16+k], x[31-k]
		s0, s1 := x0+x3, x1+x2
		d0, d1 := (x0-x3)*f[k], (x1-x2)*f[15-k]
		a[k], b[k] = s0+s1, (s0-s1)*f[16+k]
		c[k], d[k] = d0+d1, (d0-d1)*f[16+k]
	}
	cosines8(&a)
	cosines8(&b)
	cosines8(&c)
	cosines8(&d)
	for j := range 8 {
		odd := d[j] + d[j+1]
		h[4*j][at], h[4*j+1][at] = a[j], c[j]+odd
		h[4*j+2][at], h[4*j+3][at] = b[j]+b[j+1], odd+c[j+1]
	}
}

// cosines8 is the same of 8, in place.
func cosines8(x *[9]float32) {
	const (
		f0, f1, f2, f3 = 0.50979557910415916894, 0.60134488693504528054, 0.89997622313641570464, 2.56291544774150617881
		g0, g1, r      = 0.54119610014619698440, 1.30656296487637652786, 0.70710678118654752440
	)
	a0, a1, a2, a3 := x[0]+x[7], x[1]+x[6], x[2]+x[5], x[3]+x[4]
	b0, b1, b2, b3 := (x[0]-x[7])*f0, (x[1]-x[6])*f1, (x[2]-x[5])*f2, (x[3]-x[4])*f3
	c0, c1, d0, d1 := a0+a3, a1+a2, (a0-a3)*g0, (a1-a2)*g1
	e0, e1, h0, h1 := b0+b3, b1+b2, (b0-b3)*g0, (b1-b2)*g1
	d2, h2, h3 := (d0-d1)*r, (h0-h1)*r, (e0-e1)*r
	y3 := h0 + h1 + h2
	x[0], x[4] = c0+c1, (c0-c1)*r
	x[2], x[6] = d0+d1+d2, d2
	x[1], x[3] = e0+e1+y3, y3+h3
	x[5], x[7] = h3+h2, h2
}

// halvings are 1 / 2 cos(pi/64 (2k+1)), and 1 / 2 cos(pi/32 (2k+1)) from 16 on.
var halvings = sync.OnceValue(func() *[24]float32 {
	var f [24]float32
	for k := range f {
		n := 64.0
		if k >= 16 {
			n = 32
		}
		f[k] = float32(0.5 / math.Cos(math.Pi/n*float64(2*(k%16)+1)))
	}
	return &f
})

// window is the first half of the window, and its middle, times 2^16. The second half
// mirrors it, negated but at multiples of 64.
//
// Source: ISO/IEC 11172-3, table B.3 (D).
var window = [257]int32{
	0, -1, -1, -1, -1, -1, -1, -2, -2, -2, -2, -3, -3, -4, -4, -5,
	-5, -6, -7, -7, -8, -9, -10, -11, -13, -14, -16, -17, -19, -21, -24, -26,
	-29, -31, -35, -38, -41, -45, -49, -53, -58, -63, -68, -73, -79, -85, -91, -97,
	-104, -111, -117, -125, -132, -139, -147, -154, -161, -169, -176, -183, -190, -196, -202, -208,
	213, 218, 222, 225, 227, 228, 228, 227, 224, 221, 215, 208, 200, 189, 177, 163,
	146, 127, 106, 83, 57, 29, -2, -36, -72, -111, -153, -197, -244, -294, -347, -401,
	-459, -519, -581, -645, -711, -779, -848, -919, -991, -1064, -1137, -1210, -1283, -1356, -1428, -1498,
	-1567, -1634, -1698, -1759, -1817, -1870, -1919, -1962, -2001, -2032, -2057, -2075, -2085, -2087, -2080, -2063,
	2037, 2000, 1952, 1893, 1822, 1739, 1644, 1535, 1414, 1280, 1131, 970, 794, 605, 402, 185,
	-45, -288, -545, -814, -1095, -1388, -1692, -2006, -2330, -2663, -3004, -3351, -3705, -4063, -4425, -4788,
	-5153, -5517, -5879, -6237, -6589, -6935, -7271, -7597, -7910, -8209, -8491, -8755, -8998, -9219, -9416, -9585,
	-9727, -9838, -9916, -9959, -9966, -9935, -9863, -9750, -9592, -9389, -9139, -8840, -8492, -8092, -7640, -7134,
	6574, 5959, 5288, 4561, 3776, 2935, 2037, 1082, 70, -998, -2122, -3300, -4533, -5818, -7154, -8540,
	-9975, -11455, -12980, -14548, -16155, -17799, -19478, -21189, -22929, -24694, -26482, -28289, -30112, -31947, -33791, -35640,
	-37489, -39336, -41176, -43006, -44821, -46617, -48390, -50137, -51853, -53534, -55178, -56778, -58333, -59838, -61289, -62684,
	-64019, -65290, -66494, -67629, -68692, -69679, -70590, -71420, -72169, -72835, -73415, -73908, -74313, -74630, -74856, -74992,
	75038,
}
