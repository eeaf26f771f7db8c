package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// correlateLanes are the sums of one product of rows, correlateTaps the taps by rows: asm/correlate.go has the same.
const correlateLanes = 16

var correlateTaps = []int{0, 6, 6, 4, 3}

// correlate is sums of products of m rows with what some taps see. Where a vector holds half of the
// lanes, there are two passes.
func (s isa) correlate(m int) {
	name := fmt.Sprintf("Correlate%d%s", m, s.suffix)
	TEXT(name, NOSPLIT, "func(n int, dy *float32, next int, x *float32, at *int, sums *float32, load int)")
	Doc(fmt.Sprintf("%s is the Correlate of %d rows.", name, m))
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	bytes, next, at, from := param("n"), param("next"), param("at"), param("x")
	SHLQ(Imm(2), bytes)
	SHLQ(Imm(2), next)
	rows, seen := make([]Register, m), make([]Register, correlateTaps[m])
	for i := range rows {
		if rows[i] = GP64(); i == 0 {
			Load(Param("dy"), rows[0])
			ADDQ(bytes, rows[0])
			continue
		}
		LEAQ(Mem{Base: rows[i-1], Index: next, Scale: 1}, rows[i])
	}
	ADDQ(bytes, from)
	for j := range seen {
		seen[j] = GP64()
		MOVQ(Mem{Base: at, Disp: 8 * j}, seen[j])
		ADDQ(from, seen[j])
	}
	sums := param("sums")
	for half := range correlateLanes / s.lanes() {
		s.correlateHalf(half, rows, seen, sums)
	}
	VZEROUPPER()
	RET()
}

// correlateHalf is one pass; rows and what taps see are pointers to their ends.
func (s isa) correlateHalf(half int, rows, seen []Register, sums Register) {
	disp, label := half*s.bytes, fmt.Sprint(half)
	acc := make([][]VecVirtual, len(rows))
	each := func(f func(v VecVirtual, m Mem)) {
		for i := range acc {
			for j, v := range acc[i] {
				f(v, Mem{Base: sums, Disp: 4*correlateLanes*(j*len(rows)+i) + disp})
			}
		}
	}
	for i := range acc {
		for range seen {
			v := s.reg()
			s.zero(v)
			acc[i] = append(acc[i], v)
		}
	}
	load, k := Load(Param("load"), GP64()), GP64()
	TESTQ(load, load)
	JE(LabelRef("from" + label))
	each(func(v VecVirtual, m Mem) { VMOVUPS(m, v) })
	Label("from" + label)
	Load(Param("n"), k)
	SHLQ(Imm(2), k)
	NEGQ(k)
	Label("loop" + label)
	read := func(base Register) VecVirtual {
		v := s.reg()
		VMOVUPS(Mem{Base: base, Index: k, Scale: 1, Disp: disp}, v)
		return v
	}
	held, streamed, swap := rows, seen, false
	if len(seen) < len(rows) {
		held, streamed, swap = seen, rows, true
	}
	kept := make([]VecVirtual, len(held))
	for i, r := range held {
		kept[i] = read(r)
	}
	for j, r := range streamed {
		v := read(r)
		for i, h := range kept {
			if swap {
				VFMADD231PS(v, h, acc[j][i])
			} else {
				VFMADD231PS(v, h, acc[i][j])
			}
		}
	}
	ADDQ(Imm(4*correlateLanes), k)
	JNE(LabelRef("loop" + label))
	each(func(v VecVirtual, m Mem) { VMOVUPS(v, m) })
}
