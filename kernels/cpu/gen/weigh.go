package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weigh makes weights of the scores of some rows. Their greatest come first, and
// what they shrink by all at once, so that no row waits for its own.
func (s isa) weigh() {
	TEXT("Weigh"+s.suffix, NOSPLIT, "func(m int, p *float32, ld int, seen *[2]int, greatest *float32, totals *float64, shrink *float32)")
	Doc(fmt.Sprintf("Weigh%s is the Weigh of m rows.", s.suffix))
	Pragma("noescape")
	s.hold(s.held.most)
	greatest, shrink := Load(Param("greatest"), GP64()), Load(Param("shrink"), GP64())
	VMOVUPS(s.all(s.bits(0xff800000)), Mem{Base: shrink})
	s.eachRow("greatest", func(i, p, n Register) {
		now := s.largest(s.greatestOf(p, n))
		VMULSS(s.named("log2e").Mem, now, now)
		VMOVSS(now, Mem{Base: shrink, Index: i, Scale: 4})
	})
	before, now, top := s.reg(), s.reg(), s.reg()
	VMOVUPS(Mem{Base: greatest}, before)
	VMOVUPS(Mem{Base: shrink}, now)
	VMAXPS(before, now, top) // before if there is a NaN
	VMOVUPS(top, Mem{Base: greatest})
	VMOVUPS(s.exp2(s.sub(before, top)), Mem{Base: shrink})
	totals := Load(Param("totals"), GP64())
	s.eachRow("weights", func(i, p, n Register) {
		shift := s.reg()
		VBROADCASTSS(Mem{Base: greatest, Index: i, Scale: 4}, shift)
		sum, kept := s.weights(p, n, shift), XMM()
		VXORPD(kept, kept, kept)
		VCVTSS2SD(Mem{Base: shrink, Index: i, Scale: 4}, kept, kept)
		VMULSD(Mem{Base: totals, Index: i, Scale: 8}, kept, kept)
		VADDSD(kept, sum, sum)
		VMOVSD(sum, Mem{Base: totals, Index: i, Scale: 8})
	})
	s.end()
}

// eachRow calls body for each of m rows with its number, where the scores begin that it
// sees, and how many there are; body may change the latter.
func (s isa) eachRow(label string, body func(i, p, n Register)) {
	i, row, seen, ld := GP64(), Load(Param("p"), GP64()), Load(Param("seen"), GP64()), Load(Param("ld"), GP64())
	SHLQ(Imm(2), ld)
	XORQ(i, i)
	Label(label)
	p, n := GP64(), GP64()
	MOVQ(Mem{Base: seen}, p)
	MOVQ(Mem{Base: seen, Disp: 8}, n)
	SUBQ(p, n)
	LEAQ(Mem{Base: row, Index: p, Scale: 4}, p)
	body(i, p, n)
	ADDQ(ld, row)
	ADDQ(Imm(16), seen)
	INCQ(i)
	CMPQ(i, where(Param("m")))
	JL(LabelRef(label))
}

// weights changes n scores to their weights, and adds these up.
func (s isa) weights(p, n Register, shift VecVirtual) (sum VecVirtual) {
	v := s.sums()
	one := func(l lane) VecVirtual {
		x := l.load(p)
		s.scaled(x, shift)
		e := s.exp2(x)
		l.store(e, p)
		return e
	}
	index := GP64()
	XORQ(index, index)
	SUBQ(Imm(64), n)
	JL(LabelRef("few"))
	Label("many")
	for at := 0; at < 16; at += s.lanes() {
		var e [4]VecVirtual
		for i := range e {
			e[i] = one(lane{s: s, index: index, disp: at + 16*i})
		}
		s.accumulate(v, at, s.widen(s.add(s.add(e[0], e[1]), s.add(e[2], e[3]))))
	}
	ADDQ(Imm(64), index)
	SUBQ(Imm(64), n)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(Imm(64), n)
	s.blocksFrom(index, n, func(l lane, at int) { s.accumulate(v, at, l.wide(s.widen(one(l)))) })
	return s.fold(v)
}

// exp2 is 2 to the power x <= 0, and 0 below exp2Low; it changes x.
func (s isa) exp2(x VecVirtual) VecVirtual {
	n := s.reg()
	const nearest, quiet, notLess = 0, 8, 0x15
	if s.bytes == 64 {
		VRNDSCALEPS(Imm(nearest|quiet), x, n)
	} else {
		VROUNDPS(Imm(nearest|quiet), x, n)
	}
	r := s.sub(x, n)
	v := s.horner(exp2Series, r)
	s.then(v, r, s.c(1))
	if s.bytes == 64 {
		k := K()
		s.compare(notLess, x, s.named("exp2Low"), k)
		VSCALEFPS_Z(n, v, k, v)
		return v
	}
	there := s.reg()
	VCMPPS(Imm(notLess), s.named("exp2Low").Mem, x, there)
	whole := s.reg()
	VCVTPS2DQ(n, whole)
	v = s.mul(v, s.power(whole))
	VPAND(there, v, v)
	return v
}

// greatestOf is the greatest of n elements, in a lane of its own each.
func (s isa) greatestOf(p, n Register) VecVirtual {
	none := s.all(s.bits(0xff800000))
	top := [4]VecVirtual{none, s.copyOf(none), s.copyOf(none), s.copyOf(none)}
	index, left := GP64(), GP64()
	XORQ(index, index)
	MOVQ(n, left)
	for _, count := range []int{4, 1} {
		loop, end := fmt.Sprint("look", count), fmt.Sprint("looked", count)
		SUBQ(imm(count*s.lanes()), left)
		JL(LabelRef(end))
		Label(loop)
		for i := range count {
			VMAXPS(lane{s: s, index: index, disp: i * s.lanes()}.at(p, 4), top[i], top[i])
		}
		ADDQ(imm(count*s.lanes()), index)
		SUBQ(imm(count*s.lanes()), left)
		JGE(LabelRef(loop))
		Label(end)
		ADDQ(imm(count*s.lanes()), left)
	}
	TESTQ(left, left)
	JE(LabelRef("looked"))
	l := lane{s: s, index: index, tail: true, mask: s.maskOf(left)}
	VMAXPS(s.only(l, l.load(p), s.all(s.bits(0xff800000))), top[0], top[0])
	Label("looked")
	VMAXPS(top[1], top[0], top[0])
	VMAXPS(top[3], top[2], top[2])
	VMAXPS(top[2], top[0], top[0])
	return top[0]
}

// scaled changes x to log2(e) x - shift.
func (s isa) scaled(x, shift VecVirtual) {
	s.emit(VFMSUB132PS, VFMSUB132PS_BCST, s.named("log2e"), shift, x)
}

// largest is the greatest lane.
func (s isa) largest(v VecVirtual) VecVirtual {
	half := YMM()
	y := v.AsY()
	if s.bytes == 64 {
		VEXTRACTF64X4(Imm(1), v, half)
		VMAXPS(half, y, y)
	}
	q, x := XMM(), v.AsX()
	VEXTRACTF128(Imm(1), y, q)
	VMAXPS(q, x, x)
	for _, order := range []uint64{0x4e, 0xb1} {
		VPERMILPS(Imm(order), x, q)
		VMAXPS(q, x, x)
	}
	out := XMM()
	VMOVAPS(x, out)
	return out
}
