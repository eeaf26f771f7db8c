package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const panel = 32 // columns

// gemm is a tile of m rows and the 32 columns of a panel. Where the registers
// don't hold it, it is computed in two halves.
func (s isa) gemm(m int, e elem) {
	name := fmt.Sprintf("Gemm%d%s%s", m, s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(k int, a *float32, b *byte, c *float32, ldc int, bias *float32, load int)")
	Doc(fmt.Sprintf("%s is the Gemm of %d rows over %s weights.", name, m, e.name))
	Pragma("noescape")
	vecs := panel / s.lanes()
	halves := 1
	if s.bytes == 32 && m > 2 {
		vecs, halves = 2, 2
	}
	k, a, b := Load(Param("k"), GP64()), Load(Param("a"), GP64()), Load(Param("b"), GP64())
	c, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	bias, load := Load(Param("bias"), GP64()), Load(Param("load"), GP64())
	SHLQ(Imm(2), ldc)
	for half := range halves {
		t := tile{s: s, e: e, m: m, vecs: vecs, label: fmt.Sprint(half), c: c, ldc: ldc, bias: bias}
		if half < halves-1 {
			t.k, t.a, t.b = GP64(), GP64(), GP64()
			MOVQ(k, t.k)
			MOVQ(a, t.a)
			MOVQ(b, t.b)
		} else {
			t.k, t.a, t.b = k, a, b
		}
		t.disp = half * vecs * s.lanes()
		t.start(load)
		t.loop()
		t.store()
	}
	VZEROUPPER()
	RET()
}

// tile is the code for one tile; every accumulator is one chain over k.
type tile struct {
	s            isa
	e            elem
	m, vecs      int
	disp         int // first column
	label        string
	k, a, b      Register
	c, ldc, bias Register
	acc          [][]VecVirtual
}

// rows calls f with the address of each row of c.
func (t *tile) rows(f func(i int, row Register)) {
	row := GP64()
	MOVQ(t.c, row)
	for i := range t.m {
		f(i, row)
		if i < t.m-1 {
			ADDQ(t.ldc, row)
		}
	}
}

func (t *tile) at(base Register, j int) Mem {
	return Mem{Base: base, Disp: 4*t.disp + t.s.bytes*j}
}

// start loads c into the accumulators, or clears them.
func (t *tile) start(load Register) {
	t.acc = make([][]VecVirtual, t.m)
	for i := range t.acc {
		for range t.vecs {
			v := t.s.reg()
			t.s.zero(v)
			t.acc[i] = append(t.acc[i], v)
		}
	}
	TESTQ(load, load)
	JE(LabelRef("begin" + t.label))
	t.rows(func(i int, row Register) {
		for j, v := range t.acc[i] {
			VMOVUPS(t.at(row, j), v)
		}
	})
	Label("begin" + t.label)
}

func (t *tile) loop() {
	const unroll = 4
	w := make([]VecVirtual, t.vecs)
	for j := range w {
		w[j] = t.s.reg()
	}
	x := t.s.reg()
	step := func(u int) {
		for j := range w {
			t.s.load(t.e, Mem{Base: t.b, Disp: t.e.size * (panel*u + t.disp + t.s.lanes()*j)}, w[j])
		}
		for i := range t.acc {
			VBROADCASTSS(Mem{Base: t.a, Disp: 4 * (t.m*u + i)}, x)
			for j := range w {
				VFMADD231PS(w[j], x, t.acc[i][j])
			}
		}
	}
	advance := func(n int) {
		ADDQ(imm(t.e.size*panel*n), t.b)
		ADDQ(imm(4*t.m*n), t.a)
	}
	blocks := GP64()
	MOVQ(t.k, blocks)
	SHRQ(Imm(2), blocks)
	JE(LabelRef("tail" + t.label))
	Label("block" + t.label)
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	DECQ(blocks)
	JNE(LabelRef("block" + t.label))
	Label("tail" + t.label)
	ANDQ(Imm(3), t.k)
	JE(LabelRef("store" + t.label))
	Label("one" + t.label)
	step(0)
	advance(1)
	DECQ(t.k)
	JNE(LabelRef("one" + t.label))
	Label("store" + t.label)
}

// store adds the bias, if there is one, and writes c.
func (t *tile) store() {
	TESTQ(t.bias, t.bias)
	JE(LabelRef("write" + t.label))
	for j := range t.vecs {
		v := t.s.reg()
		VMOVUPS(t.at(t.bias, j), v)
		for i := range t.acc {
			VADDPS(v, t.acc[i][j], t.acc[i][j])
		}
	}
	Label("write" + t.label)
	t.rows(func(i int, row Register) {
		for j, v := range t.acc[i] {
			VMOVUPS(v, t.at(row, j))
		}
	})
}

// gemv is one row over several panels at once, so that there are enough
// independent chains.
func (s isa) gemv(e elem) {
	name := fmt.Sprintf("Gemv%s%s", s.suffix, e.name)
	TEXT(name, NOSPLIT, "func(k int, x *float32, b *byte, stride int, y *float32, bias *float32)")
	Doc(fmt.Sprintf("%s is the Gemv over %d panels of %s weights.", name, s.panels, e.name))
	Pragma("noescape")
	k, x := Load(Param("k"), GP64()), Load(Param("x"), GP64())
	b, stride := Load(Param("b"), GP64()), Load(Param("stride"), GP64())
	y, bias := Load(Param("y"), GP64()), Load(Param("bias"), GP64())
	ptr := []Register{b}
	for p := 1; p < s.panels; p++ {
		ptr = append(ptr, GP64())
		MOVQ(ptr[p-1], ptr[p])
		ADDQ(stride, ptr[p])
	}
	vecs := panel / s.lanes()
	acc := make([]VecVirtual, s.panels*vecs)
	for i := range acc {
		acc[i] = s.reg()
		s.zero(acc[i])
	}
	xv, w := s.reg(), s.reg()
	i := GP64()
	XORQ(i, i)
	TESTQ(k, k)
	JE(LabelRef("end"))
	Label("loop")
	VBROADCASTSS(Mem{Base: x, Index: i, Scale: 4}, xv)
	for p := range ptr {
		for j := range vecs {
			m := Mem{Base: ptr[p], Disp: e.size * s.lanes() * j}
			if e.name == "F32" {
				VFMADD231PS(m, xv, acc[p*vecs+j])
				continue
			}
			s.load(e, m, w)
			VFMADD231PS(w, xv, acc[p*vecs+j])
		}
		ADDQ(imm(e.size*panel), ptr[p])
	}
	INCQ(i)
	CMPQ(i, k)
	JL(LabelRef("loop"))
	Label("end")
	TESTQ(bias, bias)
	JE(LabelRef("write"))
	for i := range acc {
		VADDPS(Mem{Base: bias, Disp: s.bytes * i}, acc[i], acc[i])
	}
	Label("write")
	for i := range acc {
		VMOVUPS(acc[i], Mem{Base: y, Disp: s.bytes * i})
	}
	VZEROUPPER()
	RET()
}
