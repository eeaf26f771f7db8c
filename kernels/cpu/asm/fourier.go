package asm

import "unsafe"

// Butterfly is a complex Fourier transform of r rows, whose results are turned: with a[i] the i-th row of
// x (real) and xi (imaginary), rows apart bytes apart,
//
//	y[j] = (sum over i of a[i] e^(-2 pi i j / r)) times 1 for j = 0, else w[2j-2] + w[2j-1] times the imaginary unit
//
// for n elements of each row. Windowed quarters first multiply real and imaginary rows by w[6], w[7] (row 0),
// w[8], w[9] (row 1) and so on; fifths find the cosines of one and two fifths of a turn in w[8] and w[9], and the sines in
// w[10] and w[11]. With real and imaginary parts exchanged on both sides, it is the transform back.
type Butterfly func(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int)

// RealBins makes two bins of a real transform of two of a complex one, a and b, of half the size, w being
// h, h cos and h sin of the angle that belongs to a: for each of n elements,
//
//	o = (ai + bi, br - ar);  u = hc o0 + hs o1;  v = hc o1 - hs o0
//	c = (h (ar + br) + u, h (ai - bi) + v)
//	d = (h (ar + br) - u, v - h (ai - bi))
type RealBins func(n int, w, ar, ai, br, bi, cr, ci, dr, di *float32)

func quarters(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int) {
	ones := [8]float32{1, 1, 1, 1, 1, 1, 1, 1}
	quartersBy(n, unsafe.Slice(w, 6), ones[:], x, xi, apart, y, yi, apartY)
}

func windowedQuarters(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int) {
	all := unsafe.Slice(w, 14)
	quartersBy(n, all[:6], all[6:], x, xi, apart, y, yi, apartY)
}

func quartersBy(n int, w, window []float32, x, xi *float32, apart int, y, yi *float32, apartY int) {
	a, b := rowsOf(x, apart, 4, n), rowsOf(xi, apart, 4, n) // real and imaginary
	c, d := rowsOf(y, apartY, 4, n), rowsOf(yi, apartY, 4, n)
	for j := range n {
		var re, im [4]float32
		for i := range 4 {
			re[i], im[i] = float32(a[i][j]*window[2*i]), float32(b[i][j]*window[2*i+1])
		}
		t0r, t1r, t2r, t3r := re[0]+re[2], re[0]-re[2], re[1]+re[3], re[1]-re[3]
		t0i, t1i, t2i, t3i := im[0]+im[2], im[0]-im[2], im[1]+im[3], im[1]-im[3]
		c[0][j], d[0][j] = t0r+t2r, t0i+t2i
		c[1][j], d[1][j] = twisted(t1r+t3i, t1i-t3r, w[0], w[1])
		c[2][j], d[2][j] = twisted(t0r-t2r, t0i-t2i, w[2], w[3])
		c[3][j], d[3][j] = twisted(t1r-t3i, t1i+t3r, w[4], w[5])
	}
}

func pairs(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int) {
	f := unsafe.Slice(w, 2)
	a, b := rowsOf(x, apart, 2, n), rowsOf(xi, apart, 2, n)
	c, d := rowsOf(y, apartY, 2, n), rowsOf(yi, apartY, 2, n)
	for j := range n {
		ur, ui := a[0][j]-a[1][j], b[0][j]-b[1][j]
		c[0][j], d[0][j] = a[0][j]+a[1][j], b[0][j]+b[1][j]
		c[1][j], d[1][j] = twisted(ur, ui, f[0], f[1])
	}
}

func fifths(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int) {
	f := unsafe.Slice(w, 12)
	c1, c2, s1, s2 := f[8], f[9], f[10], f[11]
	a, b := rowsOf(x, apart, 5, n), rowsOf(xi, apart, 5, n)
	c, d := rowsOf(y, apartY, 5, n), rowsOf(yi, apartY, 5, n)
	for j := range n {
		a0, b0 := a[0][j], b[0][j]
		t1r, t3r, t2r, t4r := a[1][j]+a[4][j], a[1][j]-a[4][j], a[2][j]+a[3][j], a[2][j]-a[3][j]
		t1i, t3i, t2i, t4i := b[1][j]+b[4][j], b[1][j]-b[4][j], b[2][j]+b[3][j], b[2][j]-b[3][j]
		r1, i1 := FMA(c2, t2r, FMA(c1, t1r, a0)), FMA(c2, t2i, FMA(c1, t1i, b0))
		r2, i2 := FMA(c1, t2r, FMA(c2, t1r, a0)), FMA(c1, t2i, FMA(c2, t1i, b0))
		q1, p1 := FMA(s2, t4r, float32(s1*t3r)), FMA(s2, t4i, float32(s1*t3i))
		q2, p2 := FMA(-s1, t4r, float32(s2*t3r)), FMA(-s1, t4i, float32(s2*t3i))
		c[0][j], d[0][j] = a0+t1r+t2r, b0+t1i+t2i
		c[1][j], d[1][j] = twisted(r1+p1, i1-q1, f[0], f[1])
		c[2][j], d[2][j] = twisted(r2+p2, i2-q2, f[2], f[3])
		c[3][j], d[3][j] = twisted(r2-p2, i2+q2, f[4], f[5])
		c[4][j], d[4][j] = twisted(r1-p1, i1+q1, f[6], f[7])
	}
}

// rowsOf are count rows of n elements, apart bytes apart.
func rowsOf(p *float32, apart, count, n int) [][]float32 {
	out := make([][]float32, count)
	for i := range out {
		out[i] = unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), i*apart)), n)
	}
	return out
}

// twisted is (re + i im) (c + i d).
func twisted(re, im, c, d float32) (float32, float32) {
	return FMA(re, c, -float32(im*d)), FMA(re, d, float32(im*c))
}

func realBins(n int, w, ar, ai, br, bi, cr, ci, dr, di *float32) {
	f := unsafe.Slice(w, 3)
	var p [8][]float32
	for i, q := range []*float32{ar, ai, br, bi, cr, ci, dr, di} {
		p[i] = unsafe.Slice(q, n)
	}
	for j := range n {
		a, b := p[0][j]+p[2][j], p[1][j]-p[3][j]
		o, q := p[1][j]+p[3][j], p[2][j]-p[0][j]
		u, v := FMA(f[1], o, float32(f[2]*q)), FMA(f[1], q, -float32(f[2]*o))
		p[4][j], p[6][j] = FMA(f[0], a, u), FMA(f[0], a, -u)
		p[5][j], p[7][j] = FMA(f[0], b, v), FMA(-f[0], b, v)
	}
}
