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
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	bytes := func(name string) Register {
		r := param(name)
		SHLQ(Imm(2), r)
		return r
	}
	vecs := panel / s.lanes()
	if s.bytes == 32 && m > 2 {
		vecs = 2
	}
	lda, ldc, b, c, k := bytes("lda"), bytes("ldc"), param("b"), param("c"), param("k")
	t := tile{s: s, e: elems[0], m: m, vecs: vecs, form: byRow, lda: lda, ldc: ldc}
	t.a = thirds(param("a"), lda, m)
	t.acc = make([][]VecVirtual, m)
	for i := range t.acc {
		for range vecs {
			t.acc[i] = append(t.acc[i], s.reg())
		}
	}
	Label("panel")
	for t.disp = 0; t.disp < panel; t.disp += vecs * s.lanes() {
		t.label, t.b, t.c = fmt.Sprint(t.disp), b, c
		t.chains(k)
		t.write()
	}
	apart := bytes("apart")
	ADDQ(apart, b)
	ADDQ(imm(4*panel), c)
	DECQ(where(Param("panels")))
	JNE(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// chains are those of one tile over k steps, from zero on; a ends where it began.
func (t *tile) chains(k Register) {
	const unroll = 4
	for _, row := range t.acc {
		for _, v := range row {
			t.s.zero(v)
		}
	}
	b, left := GP64(), GP64()
	MOVQ(t.b, b)
	MOVQ(k, left)
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
	MOVQ(k, left)
	SHLQ(Imm(2), left)
	for _, p := range t.a {
		SUBQ(left, p)
	}
}
