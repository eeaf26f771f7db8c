package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// mix adds weighted values to acc; every element is one chain over the values.
func (s isa) mix(e elem) {
	name := fmt.Sprintf("Mix%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(n, d int, p *float32, values *byte, stride int, acc *float32)")
	Doc(fmt.Sprintf("%s is the Mix over %s values.", name, e.name))
	Pragma("noescape")
	n, d := Load(Param("n"), GP64()), Load(Param("d"), GP64())
	p, values := Load(Param("p"), GP64()), Load(Param("values"), GP64())
	stride, out := Load(Param("stride"), GP64()), Load(Param("acc"), GP64())
	i, v := GP64(), GP64()

	// columns takes as many elements at once as fit in count vectors.
	columns := func(count int) {
		label := fmt.Sprint(count)
		acc := make([]VecVirtual, count)
		Label("columns" + label)
		CMPQ(d, imm(count*s.lanes()))
		JL(LabelRef("done" + label))
		for j := range acc {
			acc[j] = s.reg()
			VMOVUPS(Mem{Base: out, Disp: s.bytes * j}, acc[j])
		}
		pv, w := s.reg(), s.reg()
		MOVQ(values, v)
		XORQ(i, i)
		Label("value" + label)
		VBROADCASTSS(Mem{Base: p, Index: i, Scale: 4}, pv)
		for j := range acc {
			s.load(e, Mem{Base: v, Disp: e.size * s.lanes() * j}, w)
			VFMADD231PS(w, pv, acc[j])
		}
		ADDQ(stride, v)
		INCQ(i)
		CMPQ(i, n)
		JL(LabelRef("value" + label))
		for j := range acc {
			VMOVUPS(acc[j], Mem{Base: out, Disp: s.bytes * j})
		}
		ADDQ(imm(count*s.bytes), out)
		ADDQ(imm(count*s.lanes()*e.size), values)
		SUBQ(imm(count*s.lanes()), d)
		JMP(LabelRef("columns" + label))
		Label("done" + label)
	}
	columns(4)
	columns(1)

	sum, one, pv, tmp := XMM(), XMM(), XMM(), GP32()
	JMP(LabelRef("testone"))
	Label("one")
	VMOVSS(Mem{Base: out}, sum)
	MOVQ(values, v)
	XORQ(i, i)
	Label("valueone")
	s.loadOne(e, Mem{Base: v}, tmp, one)
	VMOVSS(Mem{Base: p, Index: i, Scale: 4}, pv)
	VFMADD231SS(one, pv, sum)
	ADDQ(stride, v)
	INCQ(i)
	CMPQ(i, n)
	JL(LabelRef("valueone"))
	VMOVSS(sum, Mem{Base: out})
	ADDQ(Imm(4), out)
	ADDQ(Imm(uint64(e.size)), values)
	DECQ(d)
	Label("testone")
	TESTQ(d, d)
	JNE(LabelRef("one"))
	VZEROUPPER()
	RET()
}

// dots are the products of rows with keys that lie as they are. A square of
// keys is turned in registers, so that a lane is a key, and each lane one chain.
func (s isa) dots(e elem) {
	name := fmt.Sprintf("Dots%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(m, n, k int, q *float32, ldq int, keys *byte, stride int, p *float32, ldp int)")
	Doc(fmt.Sprintf("%s is the Dots over %s keys.", name, e.name))
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	n, keys, stride, p := param("n"), param("keys"), param("stride"), param("p")
	from, qc, column := GP64(), GP64(), GP64()
	Label("group")
	MOVQ(keys, from)
	Load(Param("q"), qc)
	Load(Param("k"), column)
	Label("square")
	row := GP64()
	MOVQ(from, row)
	rows := make([]VecVirtual, s.lanes())
	for i := range rows {
		rows[i] = s.reg()
		s.load(e, Mem{Base: row}, rows[i])
		if i < len(rows)-1 {
			ADDQ(stride, row)
		}
	}
	columns := s.transposed(rows)
	qr, pr, ldq, ldp, count := GP64(), GP64(), param("ldq"), param("ldp"), param("m")
	SHLQ(Imm(2), ldq)
	SHLQ(Imm(2), ldp)
	MOVQ(qc, qr)
	MOVQ(p, pr)
	acc, x := s.reg(), s.reg()
	Label("row")
	VMOVUPS(Mem{Base: pr}, acc)
	for c, v := range columns {
		at := Mem{Base: qr, Disp: 4 * c}
		if s.bytes == 64 {
			VFMADD231PS_BCST(at, v, acc)
			continue
		}
		VBROADCASTSS(at, x)
		VFMADD231PS(x, v, acc)
	}
	VMOVUPS(acc, Mem{Base: pr})
	ADDQ(ldq, qr)
	ADDQ(ldp, pr)
	DECQ(count)
	JNE(LabelRef("row"))
	ADDQ(imm(4*s.lanes()), qc)
	ADDQ(imm(e.size*s.lanes()), from)
	SUBQ(imm(s.lanes()), column)
	JNE(LabelRef("square"))
	for range s.lanes() / 8 {
		LEAQ(Mem{Base: keys, Index: stride, Scale: 8}, keys)
	}
	ADDQ(imm(s.bytes), p)
	SUBQ(imm(s.lanes()), n)
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
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

// weigh makes weights of scores.
func (s isa) weigh() {
	p, n := s.begin("Weigh", "func(p []float32, greatest *float32, total *float64) (shrink float32)", "the Weigh of p", "p")
	greatest, total := Load(Param("greatest"), GP64()), Load(Param("total"), GP64())
	top := s.greatestOf(p[0], n)
	before, now := XMM(), s.largest(top)
	VMULSS(s.named("log2e").Mem, now, now)
	VMOVSS(Mem{Base: greatest}, before)
	shrink := s.reg()
	VMOVSS(s.c(1).Mem, shrink.AsX())
	VUCOMISS(before, now)
	JBE(LabelRef("same")) // also if there is a NaN
	VMOVSS(now, Mem{Base: greatest})
	VSUBSS(now, before, before)
	wide := s.reg()
	VBROADCASTSS(before, wide)
	VMOVAPS(s.exp2(wide), shrink)
	Label("same")
	give32(shrink, "shrink")
	shift := s.reg()
	VBROADCASTSS(Mem{Base: greatest}, shift)
	v := s.sums()
	one := func(l lane) VecVirtual {
		x := l.load(p[0])
		s.scaled(x, shift)
		e := s.exp2(x)
		l.store(e, p[0])
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
	sum, kept := s.fold(v), XMM()
	VXORPD(kept, kept, kept)
	VCVTSS2SD(where(Return("shrink")), kept, kept)
	VMULSD(Mem{Base: total}, kept, kept)
	VADDSD(kept, sum, sum)
	VMOVSD(sum, Mem{Base: total})
	s.end()
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
