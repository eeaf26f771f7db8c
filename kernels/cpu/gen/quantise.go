package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// quantiser is the code that quantises a block of 32 floats.
type quantiser struct {
	isa
	x, dst                      Register
	magnitude, magic, back, inv VecVirtual
	v                           []VecVirtual
}

// quantise writes blocks of 8 bits: see asm.Quantise.
func (s isa) quantise(halves int, least bool) {
	name := fmt.Sprintf("Quantise%s%s", quantiseName(halves, least), s.suffix)
	TEXT(name, NOSPLIT, "func(n int, x *float32, dst *byte, shift int)")
	Doc(name + " is the Quantise of kinds with such sums.")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	q := &quantiser{isa: s, x: Load(Param("x"), GP64()), dst: Load(Param("dst"), GP64())}
	shift := XMM()
	VMOVQ(Load(Param("shift"), GP64()), shift)
	q.magnitude, q.magic, q.back, q.inv = s.all(s.bits(1<<31-1)), s.all(s.c(3<<22)), s.all(s.bits(0x4b400000)), s.reg()
	for range 32 / s.lanes() {
		q.v = append(q.v, s.reg())
	}
	TESTQ(n, n)
	JE(LabelRef("end"))
	Label("block")
	d, bits := q.greatest(), GP32()
	VMOVD(d, bits)
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef("bad"))
	VDIVSS(s.c(127).Mem, d, d)
	VMOVD(d, bits)
	CMPL(bits, U32(0x00800000))
	JB(LabelRef("nothing"))
	q.values(d)
	sum := q.sums(halves)
	if least {
		scale := XMM()
		VBROADCASTSS(d, scale)
		VCVTDQ2PS(sum, sum)
		VMULPS(scale, sum, sum)
	} else {
		none := XMM()
		VPXOR(none, none, none)
		VPSLLD(shift, sum, sum)
		VPSUBD(sum, none, sum)
	}
	VMOVD(d, Mem{Base: q.dst})
	VMOVQ(sum, Mem{Base: q.dst, Disp: 4})
	MOVL(U32(0), Mem{Base: q.dst, Disp: 12})
	Label("next")
	ADDQ(imm(128), q.x)
	ADDQ(Imm(blockX), q.dst)
	DECQ(n)
	JNE(LabelRef("block"))
	Label("end")
	VZEROUPPER()
	RET()
	q.rest()
}

// rest writes blocks of nothing, and of NaN.
func (q *quantiser) rest() {
	scale := GP32()
	Label("bad")
	MOVL(U32(0x7fc00000), scale)
	JMP(LabelRef("clear"))
	Label("nothing")
	XORL(scale, scale)
	Label("clear")
	none := YMM()
	VPXOR(none, none, none)
	VMOVDQU(none, Mem{Base: q.dst})
	VMOVDQU(none.AsX(), Mem{Base: q.dst, Disp: 32})
	MOVL(scale, Mem{Base: q.dst})
	JMP(LabelRef("next"))
}

func quantiseName(halves int, least bool) string {
	return map[bool]string{false: "Offset", true: "Least"}[least] + map[int]string{1: "Whole", 2: "Halves"}[halves]
}

// greatest loads a block and gives its greatest magnitude, in lane 0.
func (q *quantiser) greatest() VecVirtual {
	var most VecVirtual
	for j, v := range q.v {
		VMOVUPS(Mem{Base: q.x, Disp: q.bytes * j}, v)
		t := q.reg()
		q.masked(q.magnitude, v, t)
		if j > 0 {
			VPMAXUD(t, most, t)
		}
		most = t
	}
	y := YMM()
	if q.bytes == 64 {
		VEXTRACTI64X4(Imm(1), most, y)
		VPMAXUD(most.AsY(), y, y)
	} else {
		VMOVDQU(most, y)
	}
	x, t := XMM(), XMM()
	VEXTRACTI128(Imm(1), y, x)
	VPMAXUD(y.AsX(), x, x)
	for _, order := range []uint64{0x4e, 0xb1} {
		VPSHUFD(Imm(order), x, t)
		VPMAXUD(t, x, x)
	}
	return x
}

// values rounds the block to whole multiples of d and writes them; q.v holds
// them then.
func (q *quantiser) values(d VecVirtual) {
	one := XMM()
	VMOVSS(q.c(1).Mem, one)
	VDIVSS(d, one, one)
	VBROADCASTSS(one, q.inv)
	for _, v := range q.v {
		VMULPS(q.inv, v, v)
		VADDPS(q.magic, v, v)
		VPSUBD(q.back, v, v)
	}
	if q.bytes == 64 {
		for j, v := range q.v {
			VPMOVDB(v, Mem{Base: q.dst, Disp: 16 + 16*j})
		}
		return
	}
	a, b, order := YMM(), YMM(), YMM()
	VPACKSSDW(q.v[1], q.v[0], a)
	VPACKSSDW(q.v[3], q.v[2], b)
	VPACKSSWB(b, a, a)
	VMOVDQU(NewDataAddr(NewStaticSymbol("order"+q.suffix), 0), order)
	VPERMD(a, order, a)
	VMOVDQU(a, Mem{Base: q.dst, Disp: 16})
}

// sums gives the sums of the first and the second half in lanes 0 and 1, or
// that of all and 0.
func (q *quantiser) sums(halves int) VecVirtual {
	half := func(vs []VecVirtual) VecVirtual { // 8 lanes
		t := q.reg()
		if len(vs) == 1 {
			y := YMM()
			VEXTRACTI64X4(Imm(1), vs[0], y)
			VPADDD(vs[0].AsY(), y, y)
			return y
		}
		VPADDD(vs[0], vs[1], t)
		return t
	}
	n := len(q.v) / 2
	a, b := half(q.v[:n]), half(q.v[n:])
	if halves == 1 {
		VPADDD(b, a, a)
		VPXOR(b, b, b)
	}
	VPHADDD(b, a, a)
	VPHADDD(a, a, a)
	x := XMM()
	VEXTRACTI128(Imm(1), a, x)
	VPADDD(a.AsX(), x, x)
	return x
}

// writeOrder writes the order in which packing leaves groups of four bytes.
func (s isa) writeOrder() {
	if s.bytes == 64 {
		return
	}
	GLOBL("order"+s.suffix, RODATA|NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(v))
	}
}
