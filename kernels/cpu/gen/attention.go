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
