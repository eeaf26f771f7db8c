package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Pairs of elements that are turned by angles.

func (s isa) turns() {
	s.turnHalves()
	s.turnPairs()
}

// turnHalves turns pairs that lie in two rows.
func (s isa) turnHalves() {
	p, n := s.begin("Turn", "func(y1, y2, x1, x2, cos, sin []float32)", "the Turn", "y1", "y2", "x1", "x2", "cos", "sin")
	s.each(n, 1, func(ls []lane) {
		l := ls[0]
		a, b, c, d := l.load(p[2]), l.load(p[3]), l.load(p[4]), l.load(p[5])
		l.store(s.sub(s.mul(a, c), s.mul(b, d)), p[0])
		l.store(s.add(s.mul(b, c), s.mul(a, d)), p[1])
	})
	s.end()
}

// turnPairs turns neighbours, a vector of pairs at a time; what is left over goes
// one by one.
func (s isa) turnPairs() {
	p, n := s.begin("TurnPairs", "func(cos, sin, y, x []float32)", "the TurnPairs", "cos", "sin", "y", "x")
	spread := s.reg() // 0 0 1 1 2 2 ...
	VPMOVZXBD(NewDataAddr(NewStaticSymbol("spread"+s.suffix), 0), spread)
	half := s
	if s.bytes == 64 {
		half.reg = YMM
	} else {
		half.reg = XMM
	}
	half.bytes = s.bytes / 2
	one := func(l lane) {
		a, b, c, d := XMM(), XMM(), XMM(), XMM()
		first := Mem{Base: p[3], Index: l.index, Scale: 8}
		second := first.Offset(4)
		VMOVSS(first, a)
		VMOVSS(second, b)
		VMULSS(l.at(p[0], 4), a, c)
		VMULSS(l.at(p[1], 4), b, d)
		VSUBSS(d, c, c)
		VMULSS(l.at(p[0], 4), b, b)
		VMULSS(l.at(p[1], 4), a, a)
		VADDSS(a, b, b)
		VMOVSS(c, Mem{Base: p[2], Index: l.index, Scale: 8})
		VMOVSS(b, Mem{Base: p[2], Index: l.index, Scale: 8, Disp: 4})
	}
	half.run(n, func(l lane) {
		if l.tail {
			one(l)
			return
		}
		wide := func(base Register) VecVirtual {
			v, few := s.reg(), half.reg()
			VMOVUPS(l.at(base, 4), few)
			if s.bytes == 64 {
				VPERMPS(few.AsZ(), spread, v)
			} else {
				VPERMPS(few.AsY(), spread, v)
			}
			return v
		}
		x, swapped := s.reg(), s.reg()
		VMOVUPS(Mem{Base: p[3], Index: l.index, Scale: 8}, x)
		VPERMILPS(Imm(0xb1), x, swapped)
		turned := s.mul(swapped, wide(p[1]))
		turned = s.xor(turned, s.evenSigns())
		VMOVUPS(s.add(s.mul(x, wide(p[0])), turned), Mem{Base: p[2], Index: l.index, Scale: 8})
	})
	s.end()
	GLOBL("spread"+s.suffix, RODATA|NOPTR)
	for i := range s.lanes() {
		DATA(i, U8(uint8(i/2)))
	}
	GLOBL("evens"+s.suffix, RODATA|NOPTR)
	for i := range s.lanes() {
		DATA(4*i, U32(uint32(0x80000000*((i+1)%2))))
	}
}

// evenSigns is a vector with the sign bit of every second lane, from the first.
func (s isa) evenSigns() VecVirtual {
	v := s.reg()
	VMOVUPS(NewDataAddr(NewStaticSymbol("evens"+s.suffix), 0), v)
	return v
}
