package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// interleave turns rows into columns, a square of one vector each way at a
// time. A last group of fewer rows than lanes is written whole, and before the
// others: what it writes too much is overwritten by them, and by its own next
// columns.
func (s isa) interleave(e elem) {
	name := fmt.Sprintf("Interleave%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(m, k int, x *byte, stride int, dst *float32)")
	Doc(fmt.Sprintf("%s is the Interleave of %s rows.", name, e.name))
	Pragma("noescape")
	m, k := Load(Param("m"), GP64()), Load(Param("k"), GP64())
	x, stride := Load(Param("x"), GP64()), Load(Param("stride"), GP64())
	dst := Load(Param("dst"), GP64())
	r, left, column := GP64(), GP64(), GP64()
	from, row, step, to, zero, width := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	XORQ(zero, zero)
	MOVQ(m, width)
	SHLQ(Imm(2), width)
	LEAQ(Mem{Base: m, Disp: -1}, r)
	ANDQ(I32(int32(-s.lanes())), r)

	Label("group")
	MOVQ(m, left)
	SUBQ(r, left)
	MOVQ(r, from)
	IMULQ(stride, from)
	ADDQ(x, from)
	LEAQ(Mem{Base: dst, Index: r, Scale: 4}, to)
	MOVQ(k, column)
	Label("square")
	MOVQ(from, row)
	MOVQ(stride, step)
	rows := make([]VecVirtual, s.lanes())
	for i := range rows {
		rows[i] = s.reg()
		s.load(e, Mem{Base: row}, rows[i])
		if i < s.lanes()-1 {
			CMPQ(left, Imm(uint64(i+1)))
			CMOVQEQ(zero, step) // the last row stands for those that are missing
			ADDQ(step, row)
		}
	}
	for _, c := range s.transposed(rows) {
		VMOVUPS(c, Mem{Base: to})
		ADDQ(width, to)
	}
	ADDQ(imm(e.size*s.lanes()), from)
	SUBQ(imm(s.lanes()), column)
	JNE(LabelRef("square"))
	SUBQ(imm(s.lanes()), r)
	JGE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// transposed returns the columns of a square of rows.
func (s isa) transposed(rows []VecVirtual) []VecVirtual {
	n := len(rows)
	fours := make([][4]VecVirtual, n/4) // of rows 4g to 4g+3, each lane of 128 bits: column 4*lane + c
	for g := range fours {
		r := rows[4*g : 4*g+4]
		var low, high [2]VecVirtual
		for i := range low {
			low[i], high[i] = s.reg(), s.reg()
			VUNPCKLPS(r[2*i+1], r[2*i], low[i])
			VUNPCKHPS(r[2*i+1], r[2*i], high[i])
		}
		for c := range 4 {
			fours[g][c] = s.reg()
		}
		VUNPCKLPD(low[1], low[0], fours[g][0])
		VUNPCKHPD(low[1], low[0], fours[g][1])
		VUNPCKLPD(high[1], high[0], fours[g][2])
		VUNPCKHPD(high[1], high[0], fours[g][3])
	}
	out := make([]VecVirtual, n)
	for i := range out {
		out[i] = s.reg()
	}
	for c := range 4 {
		if n == 8 {
			VPERM2F128(Imm(0x20), fours[1][c], fours[0][c], out[c])
			VPERM2F128(Imm(0x31), fours[1][c], fours[0][c], out[4+c])
			continue
		}
		even, odd := [2]VecVirtual{s.reg(), s.reg()}, [2]VecVirtual{s.reg(), s.reg()}
		for i := range even {
			VSHUFF32X4(Imm(0x88), fours[2*i+1][c], fours[2*i][c], even[i])
			VSHUFF32X4(Imm(0xdd), fours[2*i+1][c], fours[2*i][c], odd[i])
		}
		VSHUFF32X4(Imm(0x88), even[1], even[0], out[c])
		VSHUFF32X4(Imm(0x88), odd[1], odd[0], out[4+c])
		VSHUFF32X4(Imm(0xdd), even[1], even[0], out[8+c])
		VSHUFF32X4(Imm(0xdd), odd[1], odd[0], out[12+c])
	}
	return out
}
