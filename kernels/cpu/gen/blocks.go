package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Bytes of a block: see asm.Blocks.
const (
	blockX     = 8 + 32
	blockPanel = panel * (2 + 32)
)

// bytesTile is a tile of m rows over weights in blocks of 8 bits. Of AVX2 each
// vector of columns is a pass of its own, since there are few registers.
func (s isa) bytesTile(m int) {
	name := fmt.Sprintf("Blocks%d%s", m, s.suffix)
	TEXT(name, NOSPLIT, "func(n int, x *byte, ldx int, w *byte, y *float32, ldy int, bias *float32, load int)")
	Doc(fmt.Sprintf("%s is the Blocks of %d rows.", name, m))
	Pragma("noescape")
	vecs, passes := panel/s.lanes(), 1
	if s.bytes == 32 {
		vecs, passes = 1, 4
	}
	param := func(name string) Register { return Load(Param(name), GP64()) }
	y, ldy, ldx := param("y"), param("ldy"), param("ldx")
	SHLQ(Imm(2), ldy)
	for pass := range passes {
		t := blockTile{isa: s, n: param("n"), w: param("w"), ldx: ldx, tile: tile{s: s, m: m, vecs: vecs,
			disp: pass * vecs * s.lanes(), label: fmt.Sprint(pass), c: y, ldc: ldy, bias: param("bias")}}
		t.x = thirds(param("x"), ldx, m)
		t.start(param("load"))
		t.loop()
		t.store()
	}
	VZEROUPPER()
	RET()
}

type blockTile struct {
	tile
	isa
	n, w, ldx Register
	x         []Register // by row, as tile.a
	ones      VecVirtual // 1 in each word
	signs     VecVirtual // the sign of each byte
}

// loop goes through the blocks.
func (t *blockTile) loop() {
	TESTQ(t.n, t.n)
	JE(LabelRef("end" + t.label))
	if t.bytes == 32 {
		t.ones, t.signs = t.reg(), t.reg()
		VPCMPEQW(t.ones, t.ones, t.ones)
		VPABSB(t.ones, t.signs)
		VPSLLW(Imm(7), t.signs, t.signs)
		VPSRLW(Imm(15), t.ones, t.ones)
	}
	sums, w, x := make([][]VecVirtual, t.m), make([]VecVirtual, t.vecs), t.reg()
	for i := range sums {
		for range t.vecs {
			sums[i] = append(sums[i], t.reg())
		}
	}
	for j := range w {
		w[j] = t.reg()
	}
	Label("block" + t.label)
	for i := range sums {
		for _, v := range sums[i] {
			if t.bytes == 32 {
				t.zero(v)
			} else {
				VPBROADCASTD(t.element(i, 4), v)
			}
		}
	}
	for g := range 8 {
		t.four(g, sums, w, x)
	}
	t.scale(sums, w, x)
	ADDQ(imm(blockPanel), t.w)
	for _, p := range t.x {
		ADDQ(Imm(blockX), p)
	}
	DECQ(t.n)
	JNE(LabelRef("block" + t.label))
	Label("end" + t.label)
}

// element is what lies at a byte of the block of row i.
func (t *blockTile) element(i, offset int) Mem {
	m := third(t.x, t.ldx, i)
	m.Disp = offset
	return m
}

// four adds the products of four steps of k, the g-th four.
func (t *blockTile) four(g int, sums [][]VecVirtual, w []VecVirtual, x VecVirtual) {
	for j := range w {
		m := Mem{Base: t.w, Disp: 2*panel + 4*panel*g + 4*t.disp + t.bytes*j}
		if t.bytes == 64 {
			VMOVDQU32(m, w[j])
		} else {
			VPXOR(m, t.signs, w[j])
		}
	}
	if t.bytes == 64 {
		for i := range sums {
			VPBROADCASTD(t.element(i, 8+4*g), x)
			for j := range w {
				VPDPBUSD(x, w[j], sums[i][j])
			}
		}
		return
	}
	// Products of magnitudes with signed bytes: two of them, at most 128 times
	// 127 each, fit 16 bits.
	most := t.reg()
	VPABSB(w[0], most)
	for i := range sums {
		VPBROADCASTD(t.element(i, 8+4*g), x)
		VPSIGNB(w[0], x, x)
		VPMADDUBSW(x, most, x)
		VPMADDWD(t.ones, x, x)
		VPADDD(x, sums[i][0], sums[i][0])
	}
}

// scale adds the sums of a block, times their scales.
func (t *blockTile) scale(sums [][]VecVirtual, w []VecVirtual, x VecVirtual) {
	for j := range w {
		VCVTPH2PS(Mem{Base: t.w, Disp: 2*t.disp + 2*t.lanes()*j}, w[j])
	}
	both := t.reg()
	for i := range sums {
		VBROADCASTSS(t.element(i, 0), x)
		for j := range w {
			VMULPS(w[j], x, both)
			VCVTDQ2PS(sums[i][j], sums[i][j])
			VFMADD231PS(both, sums[i][j], t.acc[i][j])
		}
	}
}
