package asm

import "unsafe"

// Quarters is a complex Fourier transform of four rows, whose results are turned: with a[i] the i-th row of
// x (real) and xi (imaginary), rows apart bytes apart, and i the imaginary unit,
//
//	y[0] = a[0] + a[1] + a[2] + a[3]
//	y[1] = (a[0] - i a[1] - a[2] + i a[3]) (w[0] + i w[1])
//	y[2] = (a[0] - a[1] + a[2] - a[3]) (w[2] + i w[3])
//	y[3] = (a[0] + i a[1] - a[2] - i a[3]) (w[4] + i w[5])
//
// for n elements of each row. Windowed, real and imaginary rows are first multiplied by w[6], w[7] (row 0),
// w[8], w[9] (row 1) and so on. With real and imaginary parts exchanged on both sides, it is the transform back.
type Quarters func(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int)

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
	row := func(p *float32, i, apart int) []float32 {
		return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), i*apart)), n)
	}
	var a, b [4][]float32 // real and imaginary rows
	var c, d [4][]float32
	for i := range 4 {
		a[i], b[i], c[i], d[i] = row(x, i, apart), row(xi, i, apart), row(y, i, apartY), row(yi, i, apartY)
	}
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
