package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dots is a query times several keys. Sixteen chains over the blocks of 16
// elements are added up as a tree, and what is left over is a chain of its
// own: the same numbers whatever the width of a vector.
func (s isa) dots(e elem) {
	name := fmt.Sprintf("Dots%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(n, d int, q *float32, keys *byte, stride int, scores *float32)")
	Doc(fmt.Sprintf("%s is the Dots over %s keys.", name, e.name))
	Pragma("noescape")
	n, d := Load(Param("n"), GP64()), Load(Param("d"), GP64())
	q, keys := Load(Param("q"), GP64()), Load(Param("keys"), GP64())
	stride, scores := Load(Param("stride"), GP64()), Load(Param("scores"), GP64())
	full, i := GP64(), GP64()
	MOVQ(d, full)
	ANDQ(I32(-16), full)
	acc := make([]VecVirtual, 16/s.lanes())
	for j := range acc {
		acc[j] = s.reg()
	}
	w, one, qv, tmp := s.reg(), XMM(), XMM(), GP32()

	Label("key")
	for _, v := range acc {
		s.zero(v)
	}
	XORQ(i, i)
	JMP(LabelRef("test"))
	Label("block")
	for j, v := range acc {
		s.load(e, Mem{Base: keys, Index: i, Scale: uint8(e.size), Disp: e.size * s.lanes() * j}, w)
		VFMADD231PS(Mem{Base: q, Index: i, Scale: 4, Disp: s.bytes * j}, w, v)
	}
	ADDQ(Imm(16), i)
	Label("test")
	CMPQ(i, full)
	JL(LabelRef("block"))
	y, h := s.halve(acc)
	VEXTRACTF128(Imm(1), y, h.AsX())
	sum := XMM()
	VADDPS(h.AsX(), y.AsX(), sum)
	VHADDPS(sum, sum, sum)
	VHADDPS(sum, sum, sum)

	tail := XMM()
	VXORPS(tail, tail, tail)
	JMP(LabelRef("testone"))
	Label("one")
	s.loadOne(e, Mem{Base: keys, Index: i, Scale: uint8(e.size)}, tmp, one)
	VMOVSS(Mem{Base: q, Index: i, Scale: 4}, qv)
	VFMADD231SS(one, qv, tail)
	INCQ(i)
	Label("testone")
	CMPQ(i, d)
	JL(LabelRef("one"))
	VADDSS(tail, sum, sum)
	VMOVSS(sum, Mem{Base: scores})
	ADDQ(Imm(4), scores)
	ADDQ(stride, keys)
	DECQ(n)
	JNE(LabelRef("key"))
	VZEROUPPER()
	RET()
}

// halve adds lanes 8 to 15 to lanes 0 to 7, and returns a free register too.
func (s isa) halve(acc []VecVirtual) (y, free VecVirtual) {
	y, free = YMM(), YMM()
	if s.bytes == 64 {
		VEXTRACTF64X4(Imm(1), acc[0], free)
		VADDPS(free, acc[0].AsY(), y)
	} else {
		VADDPS(acc[1], acc[0], y)
	}
	return y, free
}

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
