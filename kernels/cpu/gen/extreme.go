package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// highest is the greatest of a row without NaN, never -0.
func (s isa) highest() {
	p, n := s.begin("Highest", "func(x []float32) (m float32)", "the Highest of x", "x")
	start := s.all(s.bits(0xff800000))
	var v [4]VecVirtual
	for i := range v {
		v[i] = s.copyOf(start)
	}
	s.each(n, len(v), func(ls []lane) {
		for i, l := range ls {
			x := l.load(p[0])
			if l.tail {
				x = s.only(l, x, start)
			}
			VMAXPS(x, v[i], v[i])
		}
	})
	VMAXPS(v[1], v[0], v[0])
	VMAXPS(v[3], v[2], v[2])
	VMAXPS(v[2], v[0], v[0])
	nan := s.reg()
	s.zero(nan)
	s.foldExtreme(VMAXPS, v[0], nan)
	s.end()
}

// extremeOf is the greatest or least of a row: NaN if any is, never -0.
func (s isa) extremeOf(name string, f ops, first uint32) {
	p, n := s.begin(name, "func(x []float32) (m float32)", "the "+name+" of x", "x")
	start := s.all(s.bits(first))
	v := [2]VecVirtual{s.copyOf(start), s.copyOf(start)}
	nan := s.reg() // zero, or NaN
	s.zero(nan)
	s.each(n, 2, func(ls []lane) {
		for i, l := range ls {
			x := l.load(p[0])
			if l.tail { // nothing new beyond the end
				x = s.only(l, x, start)
			}
			s.plusNaN(nan, x)
			f(x, v[i], v[i])
		}
	})
	f(v[1], v[0], v[0])
	s.foldExtreme(f, v[0], nan)
	s.end()
}

// only is x where the tail has a lane, else no.
func (s isa) only(l lane, x, no VecVirtual) VecVirtual {
	v := s.reg()
	if s.bytes == 64 {
		VBLENDMPS(x, no, l.mask, v)
	} else {
		VBLENDVPS(l.mask, x, no, v)
	}
	return v
}

// plusNaN sets the lanes of nan to NaN where x is.
func (s isa) plusNaN(nan, x VecVirtual) {
	if s.bytes == 64 {
		k := K()
		VCMPPS(Imm(unordered), x, x, k)
		VADDPS(x, x, k, nan)
		return
	}
	m := s.reg()
	VCMPPS(Imm(unordered), x, x, m)
	VORPS(m, nan, nan)
}

// foldExtreme halves the vectors until one lane is left, and returns it.
func (s isa) foldExtreme(f ops, v, nan VecVirtual) {
	half, bad := YMM(), YMM()
	y, by := v.AsY(), nan.AsY()
	if s.bytes == 64 {
		VEXTRACTF64X4(Imm(1), v, half)
		f(half, y, y)
		VEXTRACTF64X4(Imm(1), nan, bad)
		VORPS(bad, by, by)
	}
	q, bq := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, q)
	VEXTRACTF128(Imm(1), by, bq)
	x, bx := v.AsX(), nan.AsX()
	f(q, x, x)
	VORPS(bq, bx, bx)
	for _, order := range []uint64{0x4e, 0xb1} {
		VPERMILPS(Imm(order), x, q)
		VPERMILPS(Imm(order), bx, bq)
		f(q, x, x)
		VORPS(bq, bx, bx)
	}
	VADDSS(bx, x, x) // zero, or NaN; and -0 becomes 0
	give32(v, "m")
}
