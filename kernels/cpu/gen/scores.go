package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// scores is m rows times panel after panel. Nothing but zeros stands before a chain and
// nothing comes after it, so that a tile begins while the one before ends.
func (s isa) scores(m int) {
	TEXT(fmt.Sprintf("Scores%d%s", m, s.suffix), NOSPLIT, "func(k int, a *float32, lda int, b *float32, apart, panels int, c *float32, ldc int)")
	Doc(fmt.Sprintf("Scores%d%s is the Scores of %d rows.", m, s.suffix, m))
	t, vecs := s.overPanels(m)
	Label("panel")
	t.panel(vecs, panel, t.clear)
	DECQ(where(Param("panels")))
	JNE(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// values is m rows of weights times panel after panel of values, added to what there is times a number for each row.
func (s isa) values(m int) {
	TEXT(fmt.Sprintf("Values%d%s", m, s.suffix), NOSPLIT, "func(k int, a *float32, lda int, b *float32, apart, width int, c *float32, ldc int, shrink *float32)")
	Doc(fmt.Sprintf("Values%d%s is the Values of %d rows.", m, s.suffix, m))
	t, vecs := s.overPanels(m)
	Label("panel")
	CMPQ(where(Param("width")), imm(panel/2))
	JLE(LabelRef("half"))
	t.panel(vecs, panel, t.shrunk)
	SUBQ(imm(panel), where(Param("width")))
	JG(LabelRef("panel"))
	VZEROUPPER()
	RET()
	Label("half")
	t.panel(min(vecs, panel/2/s.lanes()), panel/2, t.shrunk)
	VZEROUPPER()
	RET()
}

// overPanels loads what the functions over panels have in common, and returns how many vectors of a
// row fit into registers.
func (s isa) overPanels(m int) (t *tile, vecs int) {
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	t = &tile{s: s, e: elems[0], m: m, form: byRow, lda: param("lda"), ldc: param("ldc"), b: param("b"), c: param("c"), k: param("k")}
	SHLQ(Imm(2), t.lda)
	SHLQ(Imm(2), t.ldc)
	t.a = thirds(param("a"), t.lda, m)
	if s.bytes == 32 && m > 2 {
		return t, 2
	}
	return t, panel / s.lanes()
}

// panel is one, or width columns of it, vecs vectors at a time; then b and c are at the next.
func (t *tile) panel(vecs, width int, begin func()) {
	t.vecs, t.acc = vecs, make([][]VecVirtual, t.m)
	for i := range t.acc {
		for range vecs {
			t.acc[i] = append(t.acc[i], t.s.reg())
		}
	}
	for t.disp = 0; t.disp < width; t.disp += vecs * t.s.lanes() {
		t.label = fmt.Sprint(width, "_", t.disp)
		begin()
		t.chains()
		t.write()
	}
	apart := Load(Param("apart"), GP64())
	LEAQ(Mem{Base: t.b, Index: apart, Scale: 4}, t.b)
	ADDQ(imm(4*panel), t.c)
}

// clear begins with zeros.
func (t *tile) clear() {
	for _, row := range t.acc {
		for _, v := range row {
			t.s.zero(v)
		}
	}
}

// shrunk begins with c times a number for each row.
func (t *tile) shrunk() {
	shrink, x := Load(Param("shrink"), GP64()), t.s.reg()
	t.rows(func(i int, row Register) {
		VBROADCASTSS(Mem{Base: shrink, Disp: 4 * i}, x)
		for j, v := range t.acc[i] {
			VMULPS(t.at(row, j), x, v)
		}
	})
}

// chains are those of one tile over k steps; a ends where it began.
func (t *tile) chains() {
	const unroll = 4
	b, left := GP64(), GP64()
	MOVQ(t.b, b)
	MOVQ(t.k, left)
	w, x := make([]VecVirtual, t.vecs), t.s.reg()
	for j := range w {
		w[j] = t.s.reg()
	}
	step := func(u int) {
		for j := range w {
			VMOVUPS(Mem{Base: b, Disp: 4 * (t.disp + panel*u + t.s.lanes()*j)}, w[j])
		}
		for i := range t.acc {
			VBROADCASTSS(t.element(i, u), x)
			for j := range w {
				VFMADD231PS(w[j], x, t.acc[i][j])
			}
		}
	}
	SUBQ(Imm(unroll), left)
	JL(LabelRef("tail" + t.label))
	Label("block" + t.label)
	for u := range unroll {
		step(u)
	}
	ADDQ(imm(4*panel*unroll), b)
	t.advance(unroll)
	SUBQ(Imm(unroll), left)
	JGE(LabelRef("block" + t.label))
	Label("tail" + t.label)
	ADDQ(Imm(unroll), left)
	JE(LabelRef("end" + t.label))
	Label("one" + t.label)
	step(0)
	ADDQ(imm(4*panel), b)
	t.advance(1)
	DECQ(left)
	JNE(LabelRef("one" + t.label))
	Label("end" + t.label)
	MOVQ(t.k, left)
	SHLQ(Imm(2), left)
	for _, p := range t.a {
		SUBQ(left, p)
	}
}
