package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Sums of columns: of many rows, element by element, in float64.

// columns calls body for the vectors of float64 of n elements.
func (s isa) columns(n Register, body func(l lane)) {
	d := s
	if s.bytes == 64 {
		d.reg = YMM // eight floats become one vector
	} else {
		d.reg = XMM
	}
	width := s.bytes / 8
	index := GP64()
	XORQ(index, index)
	SUBQ(imm(width), n)
	JL(LabelRef("rest"))
	Label("loop")
	body(lane{s: d, index: index})
	ADDQ(imm(width), index)
	SUBQ(imm(width), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(imm(width), n)
	JE(LabelRef("done"))
	Label("one")
	body(lane{s: d, index: index, tail: true})
	INCQ(index)
	DECQ(n)
	JNE(LabelRef("one"))
	Label("done")
}

// doubles loads a vector of float64, one element in the tail.
func (l lane) doubles(s isa, base Register) VecVirtual {
	if l.tail {
		v := XMM()
		VMOVSD(l.at(base, 8), v)
		return v
	}
	v := s.reg()
	VMOVUPD(l.at(base, 8), v)
	return v
}

func (l lane) storeDoubles(v VecVirtual, base Register) {
	if l.tail {
		VMOVSD(v, l.at(base, 8))
		return
	}
	VMOVUPD(v, l.at(base, 8))
}

// widened loads floats as a vector of float64.
func (l lane) widened(s isa, base Register) VecVirtual {
	if l.tail {
		v := XMM()
		VXORPS(v, v, v)
		VCVTSS2SD(l.at(base, 4), v, v)
		return v
	}
	v := s.reg()
	VCVTPS2PD(l.at(base, 4), v)
	return v
}

func (s isa) sumInto() {
	p, n := s.begin("SumInto", "func(acc []float64, x []float32)", "acc[i] += x[i]", "acc", "x")
	s.columns(n, func(l lane) {
		v := l.widened(s, p[1])
		VADDPD(l.doubles(s, p[0]), v, v)
		l.storeDoubles(v, p[0])
	})
	s.end()
}

func (s isa) squaresInto() {
	p, n := s.begin("SquaresInto", "func(acc, mean []float64, x []float32)", "acc[i] += (x[i] - mean[i])²", "acc", "mean", "x")
	s.columns(n, func(l lane) {
		v := l.widened(s, p[2])
		VSUBPD(l.doubles(s, p[1]), v, v)
		VMULPD(v, v, v)
		VADDPD(l.doubles(s, p[0]), v, v)
		l.storeDoubles(v, p[0])
	})
	s.end()
}
