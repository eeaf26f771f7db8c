package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Products of bf16 with bf16, in pairs along k: a number of 32 bits holds the
// element of an even k in its upper half, the next in its lower one.

// writePairs writes tiles over pairs, and what makes pairs.
func (s isa) writePairs() {
	for m := 1; m <= s.rows; m++ {
		for _, split := range []bool{false, true} {
			for _, f := range []form{byRow, byCol} {
				s.pairTile(m, f, split)
			}
		}
	}
	s.zip()
	s.swap()
	s.peakPairs()
}

// pairName is the name of a tile over pairs.
func (s isa) pairName(m int, f form, split bool) string {
	kind := "Pairs"
	if split {
		kind = "Split"
	}
	return fmt.Sprintf("%s%s%d%s", kind, map[form]string{byRow: "ByRow", byCol: "ByCol"}[f], m, s.suffix)
}

// pairTile is a tile of m rows over pairs.
func (s isa) pairTile(m int, f form, split bool) {
	name, how := s.pairName(m, f, split), "VDPBF16PS"
	if split {
		how = "multiply-adds of f32"
	}
	TEXT(name, NOSPLIT, "func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, load int)")
	Doc(fmt.Sprintf("%s is the Strided of %d rows over pairs, by %s.", name, m, how))
	t := tile{s: s, e: elems[0], m: m, form: f, pairs: &pairs{split: split}}
	if split {
		t.pairs.mask = s.reg()
		bits := GP32()
		MOVL(U32(0xffff0000), bits)
		VPBROADCASTD(bits, t.pairs.mask)
	}
	t.whole()
}

// pairs is what a tile over pairs has besides.
type pairs struct {
	split bool       // each half is multiplied by itself
	mask  VecVirtual // of the upper half
	w     []VecVirtual
	x     VecVirtual // lower halves
}

// multiply adds the products of a row's element to its sums.
func (t *tile) multiply(w []VecVirtual, x VecVirtual, acc []VecVirtual) {
	p := t.pairs
	if p != nil && p.split {
		VPSLLD(Imm(16), x, p.x)
		VPANDD(p.mask, x, x)
	}
	for j := range w {
		if p != nil && !p.split {
			dotPairs(w[j], x, acc[j])
			continue
		}
		VFMADD231PS(w[j], x, acc[j])
	}
	for j := range w {
		if p != nil && p.split {
			VFMADD231PS(p.w[j], p.x, acc[j])
		}
	}
}

// halve splits what was loaded into upper and lower halves.
func (t *tile) halve(w []VecVirtual) {
	p := t.pairs
	if p == nil || !p.split {
		return
	}
	if p.w == nil {
		p.x = t.s.reg()
		for range w {
			p.w = append(p.w, t.s.reg())
		}
	}
	for j := range w {
		VPSLLD(Imm(16), w[j], p.w[j])
		VPANDD(p.mask, w[j], w[j])
	}
}

// smallest follows the smallest numbers among what is copied, in 32 lanes: a number's
// bits without the sign, less one, so that a zero is the greatest.
type smallest struct {
	p                      Register
	lanes, sign, one, bits VecVirtual
}

func (s isa) newSmallest() smallest {
	l := smallest{p: Load(Param("least"), GP64()), lanes: s.reg(), sign: s.reg(), one: s.reg(), bits: s.reg()}
	v := GP32()
	VMOVDQU32(Mem{Base: l.p}, l.lanes)
	MOVL(U32(0x7fff7fff), v)
	VPBROADCASTD(v, l.sign)
	MOVL(U32(0x00010001), v)
	VPBROADCASTD(v, l.one)
	return l
}

func (l smallest) see(v VecVirtual) {
	VPANDD(l.sign, v, l.bits)
	VPSUBW(l.one, l.bits, l.bits)
	VPMINUW(l.bits, l.lanes, l.lanes)
}

func (l smallest) keep() { VMOVDQU32(l.lanes, Mem{Base: l.p}) }

// zip makes pairs of rows that follow each other.
func (s isa) zip() {
	name := "ZipPairs" + s.suffix
	TEXT(name, NOSPLIT, "func(pairs, n int, x *byte, stride int, dst *float32, ld int, least *uint16)")
	Doc(name + " is the ZipPairs of that instruction set.")
	Pragma("noescape")
	count, n := Load(Param("pairs"), GP64()), Load(Param("n"), GP64())
	x, stride := Load(Param("x"), GP64()), Load(Param("stride"), GP64())
	dst, ld := Load(Param("dst"), GP64()), Load(Param("ld"), GP64())
	SHLQ(Imm(2), ld)
	l := s.newSmallest()
	high, low := s.reg(), s.reg()
	next, i := GP64(), GP64()
	Label("pair")
	LEAQ(Mem{Base: x, Index: stride, Scale: 1}, next)
	XORQ(i, i)
	Label("columns")
	VPMOVZXWD(Mem{Base: x, Index: i, Scale: 2}, high)
	VPMOVZXWD(Mem{Base: next, Index: i, Scale: 2}, low)
	VPSLLD(Imm(16), high, high)
	VPORD(low, high, high)
	VMOVDQU32(high, Mem{Base: dst, Index: i, Scale: 4})
	l.see(high)
	ADDQ(imm(s.lanes()), i)
	CMPQ(i, n)
	JL(LabelRef("columns"))
	LEAQ(Mem{Base: next, Index: stride, Scale: 1}, x)
	ADDQ(ld, dst)
	DECQ(count)
	JNE(LabelRef("pair"))
	l.keep()
	VZEROUPPER()
	RET()
}

// swap makes pairs of a row whose elements follow each other along k.
func (s isa) swap() {
	name := "SwapPairs" + s.suffix
	TEXT(name, NOSPLIT, "func(n int, x *byte, dst *float32, least *uint16)")
	Doc(name + " is the SwapPairs of that instruction set.")
	Pragma("noescape")
	n, x, dst := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	l := s.newSmallest()
	v, i := s.reg(), GP64()
	XORQ(i, i)
	Label("loop")
	VMOVDQU32(Mem{Base: x, Index: i, Scale: 4}, v)
	VPROLD(Imm(16), v, v)
	VMOVDQU32(v, Mem{Base: dst, Index: i, Scale: 4})
	l.see(v)
	ADDQ(imm(s.lanes()), i)
	CMPQ(i, n)
	JL(LabelRef("loop"))
	l.keep()
	VZEROUPPER()
	RET()
}

// peakPairs is the most multiply-adds of bf16 the machine can do.
func (s isa) peakPairs() {
	s.peakOf("PeakPairs", fmt.Sprintf("adds n times 10 independent sums of %d products of bf16.", s.bytes/2), dotPairs)
}
