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
	s.hold(0) // what the scores of a row need is held, once it is known what that is
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
	VMOVUPS(s.exp2(s.sub(before, top))[0], Mem{Base: shrink})
	totals := Load(Param("totals"), GP64())
	if s.held.room = 3; s.bytes == 64 {
		s.held.room = s.held.most
	}
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
	some := func(l ...lane) []VecVirtual {
		x := make([]VecVirtual, len(l))
		for i := range l {
			x[i] = l[i].load(p)
			s.scaled(x[i], shift)
		}
		e := s.exp2(x...)
		for i := range l {
			l[i].store(e[i], p)
		}
		return e
	}
	index := GP64()
	XORQ(index, index)
	SUBQ(Imm(64), n)
	JL(LabelRef("few"))
	Label("many")
	for at := 0; at < 16; at += s.lanes() {
		pair := func(i int) VecVirtual {
			e := some(lane{s: s, index: index, disp: at + 16*i}, lane{s: s, index: index, disp: at + 16*(i+1)})
			return s.add(e[0], e[1])
		}
		s.accumulate(v, at, s.widen(s.add(pair(0), pair(2))))
	}
	ADDQ(Imm(64), index)
	SUBQ(Imm(64), n)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(Imm(64), n)
	s.blocksFrom(index, n, func(l lane, at int) { s.accumulate(v, at, l.wide(s.widen(some(l)[0]))) })
	return s.fold(v)
}

// exp2 is 2 to each power x <= 0, and 0 where that is rounded to less than -126; it changes x. All go step by step together,
// since one alone waits for itself.
func (s isa) exp2(x ...VecVirtual) []VecVirtual {
	n, v := make([]VecVirtual, len(x)), make([]VecVirtual, len(x))
	each := func(f func(i int)) {
		for i := range x {
			f(i)
		}
	}
	each(func(i int) { x[i] = s.greater(s.named("exp2Low"), x[i]) })
	each(func(i int) { n[i] = s.nearest(x[i]) })
	each(func(i int) { x[i] = s.sub(x[i], n[i]) })
	each(func(i int) { v[i] = s.all(s.c(exp2Series.c[4])) })
	for _, c := range []float32{exp2Series.c[3], exp2Series.c[2], exp2Series.c[1], exp2Series.c[0], 1} {
		each(func(i int) { s.then(v[i], x[i], s.c(c)) })
	}
	each(func(i int) { n[i] = s.shift(VPSLLD, 23, s.add(n[i], s.c(named("roundMagic")+127))) })
	each(func(i int) { v[i] = s.mul(v[i], n[i]) })
	return v
}

// nearest is the nearest whole number, the even one of two.
func (s isa) nearest(x VecVirtual) VecVirtual {
	v := s.reg()
	const nearest, quiet = 0, 8
	if s.bytes == 64 {
		VRNDSCALEPS(Imm(nearest|quiet), x, v)
	} else {
		VROUNDPS(Imm(nearest|quiet), x, v)
	}
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
