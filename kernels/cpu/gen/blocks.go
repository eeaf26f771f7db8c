package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const blockX = 16 + 32 // bytes of a block of activations: see asm.BlockX

// kind is asm.Kind.
type kind struct {
	name          string
	halves        int
	least, signed bool // codes are bytes of an offset of 128
}

var kinds = []kind{{"OffsetBytes", 1, false, true}, {"OffsetWhole", 1, false, false}, {"OffsetHalves", 2, false, false},
	{"LeastWhole", 1, true, false}, {"LeastHalves", 2, true, false}}

// scales is the bytes before the codes of a block that was unpacked.
func (k kind) scales() int {
	n := 4 * panel * k.halves
	if k.least {
		n *= 2
	}
	return n
}

// tileOf is the kind whose tile s uses: VNNI takes any bytes alike.
func (s isa) tileOf(k kind) kind {
	if s.bytes == 64 && k.signed {
		return kinds[1]
	}
	return k
}

// quantised writes what concerns quantised weights.
func (s isa) quantised() {
	for _, least := range []bool{false, true} {
		for halves := 1; halves <= 2; halves++ {
			s.quantise(halves, least)
		}
	}
	for _, k := range kinds {
		for m := 1; m <= s.blockRows && s.tileOf(k) == k; m++ {
			s.blocksTile(k, m)
		}
	}
	for _, c := range codings {
		s.unpack(c)
		s.rowOf(c)
	}
	for _, c := range rowCodings {
		s.unpackRows(c)
		s.rowTimesRows(c)
	}
	s.unpackNF4()
	s.prefetch()
	s.peakBytes()
	s.writePool()
	s.writeLevels()
	s.writeOrder()
	s.writeNF4()
}

// prefetch asks for memory ahead of its use.
func (s isa) prefetch() {
	TEXT("Prefetch"+s.suffix, NOSPLIT, "func(p *byte, lines int)")
	Doc("Prefetch" + s.suffix + " is the Prefetch of that instruction set.")
	Pragma("noescape")
	p, n := Load(Param("p"), GP64()), Load(Param("lines"), GP64())
	Label("line")
	PREFETCHT1(Mem{Base: p})
	ADDQ(Imm(64), p)
	DECQ(n)
	JG(LabelRef("line"))
	RET()
}

// peakBytes is the most multiply-adds of bytes the machine can do.
func (s isa) peakBytes() {
	var t VecVirtual
	s.peakOf("PeakBytes", fmt.Sprintf("adds n times 10 independent sums of %d products of bytes.", s.bytes), func(x, ones, acc VecVirtual) {
		if s.bytes == 64 {
			VPDPBUSD(x, ones, acc)
			return
		}
		if t == nil {
			t = s.reg()
		}
		VPMADDUBSW(x, ones, t)
		VPMADDWD(ones, t, t)
		VPADDD(t, acc, acc)
	})
}

// blocksTile is a tile of m rows over blocks that were unpacked. Of AVX2 each
// vector of columns is a pass of its own, since there are few registers.
func (s isa) blocksTile(k kind, m int) {
	name := fmt.Sprintf("Blocks%s%d%s", k.name, m, s.suffix)
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
		t := blockTile{isa: s, kind: k, n: param("n"), w: param("w"), ldx: ldx, tile: tile{s: s, m: m, vecs: vecs,
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
	kind      kind
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
		t.ones = t.reg()
		VPCMPEQW(t.ones, t.ones, t.ones)
		if t.kind.signed {
			t.signs = t.reg()
			VPABSB(t.ones, t.signs)
			VPSLLW(Imm(7), t.signs, t.signs)
		}
		VPSRLW(Imm(15), t.ones, t.ones)
	}
	sums, w, x := make([][]VecVirtual, t.m), make([]VecVirtual, t.vecs), t.reg()
	pairs := make([]VecVirtual, t.m)
	for i := range pairs {
		if t.pairs() {
			pairs[i] = t.reg()
		}
	}
	for i := range sums {
		for range t.vecs {
			sums[i] = append(sums[i], t.reg())
		}
	}
	for j := range w {
		w[j] = t.reg()
	}
	Label("block" + t.label)
	for h := range t.kind.halves {
		for i := range sums {
			for _, v := range sums[i] {
				if t.kind.least || t.kind.signed && t.bytes == 32 {
					t.zero(v)
				} else {
					VPBROADCASTD(t.element(i, 4+4*h), v)
				}
			}
		}
		for g := 8 * h / t.kind.halves; g < 8*(h+1)/t.kind.halves; g++ {
			t.four(g, sums, pairs, w, x)
		}
		t.scale(h, sums, w, x)
	}
	ADDQ(imm(t.kind.scales()+32*panel), t.w)
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

// pairs reports whether the products of four groups are added up in i16, as
// 8 products of a code of 5 bits with 127 allow, before they are widened.
func (t *blockTile) pairs() bool {
	return t.bytes == 32 && !t.kind.signed && t.kind.name != "OffsetHalves"
}

// four adds the products of group g.
func (t *blockTile) four(g int, sums [][]VecVirtual, pairs, w []VecVirtual, x VecVirtual) {
	for j := range w {
		m := Mem{Base: t.w, Disp: t.kind.scales() + 4*panel*g + 4*t.disp + t.bytes*j}
		switch {
		case t.bytes == 64:
			VMOVDQU32(m, w[j])
		case t.kind.signed:
			VPXOR(m, t.signs, w[j])
		default:
			VMOVDQU(m, w[j])
		}
	}
	if t.bytes == 64 {
		for i := range sums {
			VPBROADCASTD(t.element(i, 16+4*g), x)
			for j := range w {
				VPDPBUSD(x, w[j], sums[i][j])
			}
		}
		return
	}
	// Two products of 6 bits with 8 fit 16 bits; so do two of magnitudes, at
	// most 128 times 127 each.
	most := w[0]
	if t.kind.signed {
		most = t.reg()
		VPABSB(w[0], most)
	}
	for i := range sums {
		VPBROADCASTD(t.element(i, 16+4*g), x)
		if t.pairs() {
			if g%4 == 0 {
				VPMADDUBSW(x, most, pairs[i])
				continue
			}
			VPMADDUBSW(x, most, x)
			VPADDW(x, pairs[i], pairs[i])
			if g%4 == 3 {
				VPMADDWD(t.ones, pairs[i], pairs[i])
				VPADDD(pairs[i], sums[i][0], sums[i][0])
			}
			continue
		}
		if t.kind.signed {
			VPSIGNB(w[0], x, x)
		}
		VPMADDUBSW(x, most, x)
		VPMADDWD(t.ones, x, x)
		VPADDD(x, sums[i][0], sums[i][0])
	}
}

// scale adds the sums of half h of a block, times their scales, and what code 0
// stands for, times the sum of activations.
func (t *blockTile) scale(h int, sums [][]VecVirtual, w []VecVirtual, x VecVirtual) {
	at := func(part, j int) Mem {
		return Mem{Base: t.w, Disp: 4*panel*(part*t.kind.halves+h) + 4*t.disp + t.bytes*j}
	}
	for j := range w {
		VMOVUPS(at(0, j), w[j])
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
	if !t.kind.least {
		return
	}
	for j := range w {
		VMOVUPS(at(1, j), w[j])
	}
	for i := range sums {
		VBROADCASTSS(t.element(i, 4+4*h), x)
		for j := range w {
			VFMADD231PS(w[j], x, t.acc[i][j])
		}
	}
}
