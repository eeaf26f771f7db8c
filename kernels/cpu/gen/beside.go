package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// Sums of a row that meanwhile write the row before past the caches, so that
// memory is read and written at the same time.

func (s isa) besides() {
	s.squaresBeside()
	s.momentsBeside("MomentsCenter", false)
	s.momentsBeside("Moments", true)
}

// ahead asks for what a row and those after it have further on.
func (l lane) ahead(base Register) {
	if !l.tail && l.disp == 0 {
		m := l.at(base, 4)
		PREFETCHT0(m.Offset(aheadBytes))
	}
}

// aheadBytes is how far.
const aheadBytes = 1024

// squaresBeside is Squares of x, and out[i] = (before[i]*s) * w[i].
func (s isa) squaresBeside() {
	p, n := s.begin("Squares", "func(x, out, before, w []float32, s float32) (sum float64)",
		"the Squares of x, which writes the ScaleMul of before to out", "x", "out", "before", "w")
	v, f := s.sums(), s.number("s")
	s.blocks(n, func(l lane, at int) {
		l.ahead(p[0])
		s.accumulateSquares(v, at, l.doubled(p[0]))
		l.store(s.mul(s.mul(l.load(p[2]), f), l.load(p[3])), p[1])
	})
	give(s.fold(v), "sum")
	s.end()
}

// momentsBeside is Moments of x, and out[i] = ((before[i]-high) - low) * s,
// or, affine, fma(that, w[i], c[i]).
func (s isa) momentsBeside(name string, affine bool) {
	parameters, doc, rows := "", "Center", []string{"x", "out", "before"}
	if affine {
		parameters, doc, rows = ", w, c", "Normalize", append(rows, "w", "c")
	}
	p, n := s.begin(name, "func(x []float32, shift float64, out, before"+parameters+" []float32, high, low, s float32) (sum, squares float64)",
		"the Moments of x, which writes the "+doc+" of before to out", rows...)
	v, w := s.sums(), s.sums()
	shift := s.double("shift")
	high, low, f := s.number("high"), s.number("low"), s.number("s")
	s.blocks(n, func(l lane, at int) {
		l.ahead(p[0])
		s.moment(v, w, shift, l, at, p[0])
		y := s.mul(s.sub(s.sub(l.load(p[2]), high), low), f)
		if affine {
			scale := l.load(p[3])
			VFMADD213PS(l.load(p[4]), scale, y)
		}
		l.store(y, p[1])
	})
	give(s.fold(v), "sum")
	give(s.fold(w), "squares")
	s.end()
}
