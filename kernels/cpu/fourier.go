package cpu

import (
	"math"

	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cpu/asm"
)

// fourier is a complex discrete Fourier transform of M rows of lanes side by side:
// frames of a signal, each of which is transformed by itself.
//
// Passes are those of Stockham, of radix 4, 5, 3, 2 and what primes are left. A pass of radix 2, 4 or 5
// adds and turns rows (a Butterfly); of another one, every row that it makes is a weighted sum of rows, with the
// twiddle factors in the weights. Either works lane by lane, so bits do not go by the number of lanes. A
// real transform of even size N is a complex one of N/2, whose real parts are the even
// elements, and a last pass that makes two bins of two rows; of odd size, one of N.
//
// Source: arXiv:1305.2226 for Stockham's passes in this form; Sorensen et al., "Real-valued fast
// Fourier transform algorithms", 1987.
type fourier struct {
	b      *Backend
	attr   op.FourierAttr
	m      int // rows of the complex transform
	apart  int // imaginary rows after the real ones: one more than m, so that rows of both do not share sets of the first-level cache
	lanes  int // frames at a time, at most
	bins   int
	passes []fourierPass
	ends   []float32 // weights of the pass between bins and rows: eight for each bin, or, back, for each row
	pairs  []float32 // of bins k and M-k, for k below M/2: what RealBins reads
	window []float32
}

// fourierPass makes radix rows of radix others, parts times, each for runs of side rows.
type fourierPass struct {
	radix, parts, side int
	weights            []float32     // of part p and result j, 2 radix for the real part, and as many for the imaginary
	first, alone, back bool          // rows are those of frames; and there are no imaginary ones
	last               bool          // rows become those of frames
	run                asm.Butterfly // nil where sums are weighted
	turns              []float32     // what it reads, for each part
}

// fourierRoom is the floats of a worker for rows, of two copies each.
const fourierRoom = 120_000

// newFourier settles a transform, forward or back.
func newFourier(b *Backend, at op.FourierAttr, back bool) *fourier {
	f := &fourier{b: b, attr: at, m: at.N, bins: at.N/2 + 1}
	for _, w := range at.Windows() {
		f.window = append(f.window, float32(w))
	}
	if at.N%2 == 0 {
		f.m = at.N / 2
	}
	f.apart = f.m + 1
	f.lanes = 64
	for f.lanes > 1 && 4*(f.m+1)*f.lanes > fourierRoom {
		f.lanes /= 2
	}
	sign := -1.0
	if back {
		sign = 1
	}
	side := 1
	for _, r := range radices(f.m) {
		f.passes = append(f.passes, f.pass(r, f.m/side/r, side, sign))
		side *= r
	}
	if back {
		f.passes[len(f.passes)-1].last = true
		f.rowsOfBins()
	} else {
		f.windowed(&f.passes[0])
		f.binsOfRows()
	}
	for i := range f.passes {
		f.butterfly(&f.passes[i], back)
	}
	return f
}

// radices are factors of m, at least one.
func radices(m int) (out []int) {
	for _, r := range []int{4, 5, 3, 2} {
		for m%r == 0 {
			out, m = append(out, r), m/r
		}
	}
	for r := 7; m > 1; r += 2 {
		if r*r > m {
			r = m
		}
		for m%r == 0 {
			out, m = append(out, r), m/r
		}
	}
	if len(out) == 0 {
		out = []int{1}
	}
	return out
}

// pass makes a pass over parts*radix*side rows: row q + side*(radix*p + j) of the result is the sum over i of
// row q + side*(p + parts*i), times the (i*j/radix + p*j/(parts*radix))-th turn.
func (f *fourier) pass(radix, count, side int, sign float64) fourierPass {
	p := fourierPass{radix: radix, parts: count, side: side}
	for part := range count {
		for j := range radix {
			re, im := make([]float32, 2*radix), make([]float32, 2*radix)
			for i := range radix {
				turn := (i*j*count + part*j) % (radix * count)
				sin, cos := math.Sincos(2 * math.Pi * float64(turn) / float64(radix*count))
				sin *= sign
				re[2*i], re[2*i+1] = float32(cos), float32(-sin)
				im[2*i], im[2*i+1] = float32(sin), float32(cos)
			}
			p.weights = append(append(p.weights, re...), im...)
		}
	}
	return p
}

// windowed multiplies what the first pass reads by the window.
func (f *fourier) windowed(p *fourierPass) {
	w := f.attr.Windows()
	for part := range p.parts {
		for j := range 2 * p.radix {
			row := p.weights[(part*2*p.radix+j)*2*p.radix:]
			for i := range p.radix {
				n := part + p.parts*i
				if f.m == f.attr.N {
					row[2*i] = float32(float64(row[2*i]) * w[n])
				} else {
					row[2*i], row[2*i+1] = float32(float64(row[2*i])*w[2*n]), float32(float64(row[2*i+1])*w[2*n+1])
				}
			}
		}
	}
	p.first, p.alone = true, f.m == f.attr.N
}

// butterfly lists what a Butterfly reads of a pass, if there is one for it: between rows of this transform, of radix
// 2, 4 or 5; the first pass only of radix 4, by the window.
func (f *fourier) butterfly(p *fourierPass, back bool) {
	run := map[int]asm.Butterfly{2: f.b.asm.Pairs, 4: f.b.asm.Quarters, 5: f.b.asm.Fifths}[p.radix]
	if p.first {
		run = map[int]asm.Butterfly{4: f.b.asm.WindowedQuarters}[p.radix]
	}
	if run == nil || p.alone || p.last {
		return
	}
	p.run, p.back = run, back
	w := f.attr.Windows()
	for part := range p.parts {
		for j := 1; j < p.radix; j++ { // back, real and imaginary rows change places instead
			sin, cos := math.Sincos(2 * math.Pi * float64(part*j) / float64(p.radix*p.parts))
			p.turns = append(p.turns, float32(cos), float32(-sin))
		}
		for i := 0; p.first && i < 4; i++ {
			n := part + p.parts*i
			p.turns = append(p.turns, float32(w[2*n]), float32(w[2*n+1]))
		}
		if p.radix == 5 {
			sin1, cos1 := math.Sincos(2 * math.Pi / 5)
			sin2, cos2 := math.Sincos(4 * math.Pi / 5)
			p.turns = append(p.turns, float32(cos1), float32(cos2), float32(sin1), float32(sin2))
		}
	}
}

// binsOfRows are the weights of rows k and M-k, real and imaginary, in bin k.
func (f *fourier) binsOfRows() {
	f.pairsOfRows()
	for k := range f.bins {
		d := f.attr.Bin(k)
		if f.m == f.attr.N {
			f.ends = append(f.ends, float32(d), 0, 0, 0, 0, float32(d), 0, 0)
			continue
		}
		if k%f.m == 0 { // real, to the last bit
			f.ends = append(f.ends, float32(d), float32(d*math.Cos(math.Pi*float64(k/f.m))), 0, 0, 0, 0, 0, 0)
			continue
		}
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(f.attr.N))
		for _, v := range []float64{1 - sin, cos, 1 + sin, cos, -cos, 1 - sin, cos, -1 - sin} {
			f.ends = append(f.ends, float32(d*v/2))
		}
	}
}

// pairsOfRows are the weights of bins k and M-k.
func (f *fourier) pairsOfRows() {
	for k := 0; 2*k < f.m && f.m != f.attr.N; k++ {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(f.attr.N))
		h := f.attr.Bin(k) / 2
		f.pairs = append(f.pairs, float32(h), float32(h*cos), float32(h*sin))
	}
}

// rowsOfBins are the weights of bins k and M-k (N-k), real and imaginary, in row k.
func (f *fourier) rowsOfBins() {
	half := func(k int) float64 {
		d := f.attr.Bin(k)
		if k != 0 && 2*k != f.attr.N {
			d /= 2 // the other half stands at the mirrored place
		}
		return d
	}
	for k := range f.m {
		if f.m == f.attr.N {
			d, sign := half(min(k, f.m-k)), 1.0
			if k > f.m-k {
				sign = -1
			}
			if k == 0 {
				sign = 0
			}
			f.ends = append(f.ends, float32(d), 0, 0, 0, 0, float32(sign*d), 0, 0)
			continue
		}
		// Z[k] = (X[k] + conj X[M-k]) + i e^(2 pi i k/N) (X[k] - conj X[M-k])
		a, b := half(k), half(f.m-k)
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(f.attr.N))
		ai, bi := a, b
		if k == 0 { // bins 0 and N/2 are real
			ai, bi = 0, 0
		}
		for _, v := range []float64{a * (1 - sin), -ai * cos, b * (1 + sin), -bi * cos, a * cos, ai * (1 - sin), -b * cos, -bi * (1 + sin)} {
			f.ends = append(f.ends, float32(v))
		}
	}
}

// run makes all passes over rows of n lanes, from x to y and back, and returns
// where the result is, and what is free. Of M rows, first lie the real parts, then the imaginary ones;
// rows of frames lie in the order of their elements.
func (f *fourier) run(x, y []float32, n int, list []int) (made, free []float32) {
	for i := range f.passes {
		f.pace(&f.passes[i], x, y, n, list)
		x, y = y, x
	}
	return x, y
}

// pace makes one pass: neighbouring rows with the same weights at once.
func (f *fourier) pace(p *fourierPass, x, y []float32, n int, list []int) {
	if p.run != nil {
		f.turn(p, x, y, n)
		return
	}
	taps, step := 2*p.radix, 1
	if p.alone {
		taps = p.radix
	} else if p.first {
		step = 2
	}
	for t := 0; t < taps; t += listTaps {
		count := min(listTaps, taps-t)
		for i := range count {
			tap := t + i
			switch {
			case p.alone:
				list[2*i], list[2*i+1] = 8*tap, 4*n*tap*p.parts
			case p.first:
				list[2*i], list[2*i+1] = 4*tap, 4*n*(tap/2*p.parts*2+tap%2)
			default:
				list[2*i], list[2*i+1] = 4*tap, 4*n*(tap/2*p.parts*p.side+tap%2*f.apart)
			}
		}
		load := min(t, 1)
		for part := range p.parts {
			from, w := x[part*p.side*step*n:], p.weights[part*4*p.radix*p.radix:]
			to := p.side * p.radix * part * n
			switch {
			case p.last && f.m != f.attr.N:
				f.spread(p, y, from, w, count, n, load, list)
			case p.last:
				f.runs(p, y[to:], from, w, 2, count, n, load, list)
			default:
				f.runs(p, y[to:], from, w, 1, count, n, load, list)
			}
		}
	}
}

// turn makes a pass by butterflies: all rows of a part with the same weights at once.
func (f *fourier) turn(p *fourierPass, x, y []float32, n int) {
	step, im := 1, f.apart*n
	if p.first { // even elements of frames are real, odd ones imaginary
		step, im = 2, n
	}
	width, each := p.side*n, len(p.turns)/p.parts
	for part := range p.parts {
		from, to := x[part*width*step:], y[p.radix*part*width:]
		xr, xi, yr, yi := &from[0], &from[im], &to[0], &to[f.apart*n]
		if p.back {
			xr, xi, yr, yi = xi, xr, yi, yr
		}
		p.run(width, &p.turns[part*each], xr, xi, 4*p.parts*width*step, yr, yi, 4*width)
	}
}

// runs writes neighbouring rows with the same weights, as many at a time as stay in the
// first-level cache while all sums of them are taken. Only every skip-th sum is wanted:
// the real ones, or all.
func (f *fourier) runs(p *fourierPass, y, from, w []float32, skip, count, n, load int, list []int) {
	const chunk = 256
	for c := 0; c < p.side*n; c += chunk {
		width := min(chunk, p.side*n-c)
		for j := 0; j < 2*p.radix; j += skip {
			f.b.asm.Weighted(width, count, &w[j*2*p.radix], &from[c], &list[0], &y[(p.side*(j/2)+j%2*f.apart)*n+c], load)
		}
	}
}

// spread writes neighbouring rows of the last pass as rows of frames.
func (f *fourier) spread(p *fourierPass, y, from, w []float32, count, n, load int, list []int) {
	for q := range p.side {
		for j := range 2 * p.radix {
			f.b.asm.Weighted(n, count, &w[j*2*p.radix], &from[q*n], &list[0], &y[(2*(p.side*(j/2)+q)+j%2)*n], load)
		}
	}
}

// four adds the rows a and b, real and imaginary, with four weights. Imaginary rows
// lie apart rows after the real ones.
func (f *fourier) four(to, z, w []float32, a, b, apart, n int, list []int) {
	for i, row := range [4]int{a, a + apart, b, b + apart} {
		list[2*i], list[2*i+1] = 4*i, 4*row*n
	}
	f.b.asm.Weighted(n, 4, &w[0], &z[0], &list[0], &to[0], 0)
}
