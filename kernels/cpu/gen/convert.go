package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Conversions between float32 and the formats of 16 bits, as package half
// does them. What is left over goes one by one.
func (s isa) conversions() {
	for _, e := range elems[1:] {
		s.widenRow(e)
		s.narrowRow(e)
	}
	s.widenBlocks()
}

// widenBlocks decodes blocks of a scale, f16, and 32 whole numbers of 8 bits.
func (s isa) widenBlocks() {
	p, n := s.begin("WidenQ8", "func(y []float32, x []byte)", "y = x, in blocks of q8_0", "y", "x")
	y, x, tmp, one, scale := p[0], p[1], GP32(), XMM(), s.reg()
	SUBQ(imm(32), n)
	JL(LabelRef("done"))
	Label("block")
	MOVWLZX(Mem{Base: x}, tmp)
	VMOVD(tmp, one)
	VCVTPH2PS(one, one)
	VBROADCASTSS(one, scale)
	for i := 0; i < 32; i += s.lanes() {
		v := s.reg()
		VPMOVSXBD(Mem{Base: x, Disp: 2 + i}, v)
		VCVTDQ2PS(v, v)
		VMULPS(scale, v, v)
		VMOVUPS(v, Mem{Base: y, Disp: 4 * i})
	}
	ADDQ(imm(34), x)
	ADDQ(imm(128), y)
	SUBQ(imm(32), n)
	JGE(LabelRef("block"))
	Label("done")
	s.end()
}

// run calls whole for the vectors of n floats, and one for what is left over.
func (s isa) run(n Register, body func(l lane)) {
	index := GP64()
	XORQ(index, index)
	SUBQ(imm(s.lanes()), n)
	JL(LabelRef("rest"))
	Label("loop")
	body(lane{s: s, index: index})
	ADDQ(imm(s.lanes()), index)
	SUBQ(imm(s.lanes()), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(imm(s.lanes()), n)
	JE(LabelRef("done"))
	Label("one")
	body(lane{s: s, index: index, tail: true})
	INCQ(index)
	DECQ(n)
	JNE(LabelRef("one"))
	Label("done")
}

func (s isa) widenRow(e elem) {
	p, n := s.begin("Widen"+e.name, "func(y []float32, x []uint16)", "y[i] = x[i], an "+e.name, "y", "x")
	tmp, one := GP32(), XMM()
	s.run(n, func(l lane) {
		if l.tail {
			s.loadOne(e, l.at(p[1], 2), tmp, one)
			VMOVSS(one, l.at(p[0], 4))
			return
		}
		v := s.reg()
		s.load(e, l.at(p[1], 2), v)
		VMOVUPS(v, l.at(p[0], 4))
	})
	s.end()
}

func (s isa) narrowRow(e elem) {
	p, n := s.begin("Narrow"+e.name, "func(y []uint16, x []float32)", "y[i] = x[i], rounded to "+e.name, "y", "x")
	s.run(n, func(l lane) {
		switch from, to := l.at(p[1], 4), l.at(p[0], 2); {
		case l.tail && e.name == "F16":
			v := XMM()
			VMOVSS(from, v)
			VCVTPS2PH(Imm(nearestEven), v, v)
			VPEXTRW(Imm(0), v, to)
		case l.tail:
			brain(from, to)
		case e.name == "F16":
			v := s.reg()
			VMOVUPS(from, v)
			VCVTPS2PH(Imm(nearestEven), v, to)
		default:
			s.brains(from, to)
		}
	})
	s.end()
}

const nearestEven = 0

// brains rounds to BF16.
func (s isa) brains(from, to Mem) {
	x := s.reg()
	VMOVUPS(from, x)
	r := s.brainBits(x)
	if s.bytes == 64 {
		VPMOVDW(r, to)
		return
	}
	high := XMM()
	VEXTRACTI128(Imm(1), r, high)
	VPACKUSDW(high, r.AsX(), high)
	VMOVDQU(high, to)
}

// brainBits are the bits of x as BF16: it adds half of the last place, less one
// where that is even. A NaN keeps its upper bits and becomes quiet.
func (s isa) brainBits(x VecVirtual) VecVirtual {
	upper := s.shift(VPSRLD, 16, x)
	r := s.addInt(s.addInt(x, s.bits(0x7fff)), s.and(upper, s.bits(1)))
	return s.pick(unordered, x, x, s.or(upper, s.bits(0x40)), s.shift(VPSRLD, 16, r))
}

func roundBF16Of(s isa, x VecVirtual) VecVirtual { return s.shift(VPSLLD, 16, s.brainBits(x)) }

func roundF16Of(s isa, x VecVirtual) VecVirtual {
	v := s.reg()
	if s.bytes == 64 {
		half := YMM()
		VCVTPS2PH(Imm(nearestEven), x, half)
		VCVTPH2PS(half, v)
		return v
	}
	half := XMM()
	VCVTPS2PH(Imm(nearestEven), x, half)
	VCVTPH2PS(half, v)
	return v
}

// brain is brains for one element.
func brain(from, to Mem) {
	x, upper, r := GP32(), GP32(), GP32()
	MOVL(from, x)
	MOVL(x, upper)
	SHRL(Imm(16), upper)
	MOVL(upper, r)
	ANDL(Imm(1), r)
	ADDL(x, r)
	ADDL(I32(0x7fff), r)
	SHRL(Imm(16), r)
	ORL(Imm(0x40), upper)
	ANDL(U32(0x7fffffff), x)
	CMPL(x, U32(0x7f800000))
	CMOVLHI(upper, r)
	MOVW(r.As16(), to)
}
