package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// nf4Levels are those of package quant.
var nf4Levels = [16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
	-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
	0.5626170039176941, 0.7229568362236023, 1}

// unpackNF4 writes panels of nf4 as floats: see asm.UnpackNF4.
func (s isa) unpackNF4() {
	TEXT("UnpackNF4"+s.suffix, NOSPLIT, "func(n int, w *byte, dst *float32)")
	Doc("UnpackNF4" + s.suffix + " is the UnpackNF4 of that instruction set.")
	Pragma("noescape")
	n, w, dst := Load(Param("n"), GP64()), Load(Param("w"), GP64()), Load(Param("dst"), GP64())
	var table []VecVirtual
	for i := range 16 / s.lanes() {
		v := s.reg()
		VMOVUPS(NewDataAddr(NewStaticSymbol("nf4"+s.suffix), s.bytes*i), v)
		table = append(table, v)
	}
	scales := make([]VecVirtual, panel/s.lanes())
	left, codes := GP64(), GP64()
	Label("block")
	for j := range scales {
		scales[j] = s.reg()
		VMOVUPS(Mem{Base: w, Disp: s.bytes * j}, scales[j])
	}
	LEAQ(Mem{Base: w, Disp: 4 * panel}, codes)
	MOVQ(U64(32), left)
	Label("row")
	for j, scale := range scales {
		v, high := s.reg(), s.reg()
		VPMOVZXBD(Mem{Base: codes, Disp: s.lanes() * j}, v)
		VPSRLD(Imm(4), v, high)
		for half, code := range []VecVirtual{v, high} {
			x := s.level(table, code)
			VMULPS(scale, x, x)
			VMOVUPS(x, Mem{Base: dst, Disp: half*32*4*panel + s.bytes*j})
		}
	}
	ADDQ(imm(panel), codes)
	ADDQ(imm(4*panel), dst)
	DECQ(left)
	JNE(LabelRef("row"))
	ADDQ(imm(32*4*panel), dst)
	MOVQ(codes, w)
	DECQ(n)
	JNE(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// level finds the levels of codes, of which the low four bits count.
func (s isa) level(table []VecVirtual, code VecVirtual) VecVirtual {
	x := s.reg()
	VPERMPS(table[0], code, x)
	if len(table) == 1 {
		return x
	}
	upper := s.reg()
	VPERMPS(table[1], code, upper)
	VPSLLD(Imm(28), code, code)
	VBLENDVPS(code, upper, x, x)
	return x
}

func (s isa) writeNF4() {
	GLOBL("nf4"+s.suffix, RODATA|NOPTR)
	for i, v := range nf4Levels {
		DATA(4*i, U32(math.Float32bits(v)))
	}
}
