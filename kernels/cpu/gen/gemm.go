package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const panel = 32 // columns

// form is how the operands of a tile lie.
type form int

const (
	byRow form = iota // both row-major
	byCol             // b row-major, a transposed
)

// strided is a tile of m rows over matrices that lie as they are.
func (s isa) strided(m int, f form, e elem) {
	name := map[form]string{byRow: "ByRow", byCol: "ByCol"}[f] + fmt.Sprint(m) + s.suffix + e.name
	TEXT(name, NOSPLIT, "func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc int, bias *float32, load int)")
	Doc(fmt.Sprintf("%s is the Strided of %d rows over %s weights.", name, m, e.name))
	t := tile{s: s, e: e, m: m, form: f}
	t.whole()
}

// whole is the function of the tile: 32 columns, in two halves where the
// registers don't hold them.
func (t tile) whole() {
	Pragma("noescape")
	s, m, e := t.s, t.m, t.e
	vecs := panel / s.lanes()
	halves := 1
	if s.bytes == 32 && m > 2 {
		vecs, halves = 2, 2
	}
	param := func(name string) Register { return Load(Param(name), GP64()) }
	bytes := func(name string, size int) Register {
		r := param(name)
		SHLQ(Imm(uint64(size/2)), r)
		return r
	}
	c, ldc := param("c"), bytes("ldc", 4)
	lda, ldb := bytes("lda", 4), bytes("ldb", e.size)
	for half := range halves {
		t := t
		t.vecs, t.disp, t.label = vecs, half*vecs*s.lanes(), fmt.Sprint(half)
		t.k, t.a, t.b, t.bias = param("k"), []Register{param("a")}, param("b"), param("bias")
		t.lda, t.ldb, t.c, t.ldc = lda, ldb, c, ldc
		t.start(param("load"))
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
	form         form
	k, b         Register
	a            []Register // by row, the address of rows 0, 3, 6 ...
	lda, ldb     Register   // bytes
	c, ldc, bias Register
	acc          [][]VecVirtual
	pairs        *pairs // over pairs of bf16
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

// element is row i of a at step u of an unrolled loop.
func (t *tile) element(i, u int) Mem {
	if t.form == byCol {
		return Mem{Base: t.a[0], Disp: 4 * i}
	}
	m := third(t.a, t.lda, i)
	m.Disp = 4 * u
	return m
}

// step is one k of n that are unrolled, the u-th.
func (t *tile) step(u int, w []VecVirtual, x VecVirtual) {
	for j := range w {
		t.s.load(t.e, Mem{Base: t.b, Disp: t.e.size * (t.disp + t.s.lanes()*j)}, w[j])
	}
	t.halve(w)
	for i := range t.acc {
		VBROADCASTSS(t.element(i, u), x)
		t.multiply(w, x, t.acc[i])
	}
	ADDQ(t.ldb, t.b)
	if t.form == byCol {
		ADDQ(t.lda, t.a[0])
	}
}

// advance moves the addresses that step leaves alone by n steps.
func (t *tile) advance(n int) {
	if t.form == byCol {
		return
	}
	for _, p := range t.a {
		ADDQ(imm(4*n), p)
	}
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
	if t.form == byRow {
		t.a = thirds(t.a[0], t.lda, t.m)
	}
	blocks := GP64()
	MOVQ(t.k, blocks)
	SHRQ(Imm(2), blocks)
	JE(LabelRef("tail" + t.label))
	Label("block" + t.label)
	for u := range unroll {
		t.step(u, w, x)
	}
	t.advance(unroll)
	DECQ(blocks)
	JNE(LabelRef("block" + t.label))
	Label("tail" + t.label)
	ANDQ(Imm(3), t.k)
	JE(LabelRef("store" + t.label))
	Label("one" + t.label)
	t.step(0, w, x)
	t.advance(1)
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
	t.write()
}

// write stores the accumulators to c.
func (t *tile) write() {
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

// thirds returns the addresses of rows 0, 3, 6 ... of n.
func thirds(base, stride Register, n int) []Register {
	out := []Register{base}
	for i := 3; i < n; i += 3 {
		p := GP64()
		LEAQ(Mem{Base: out[len(out)-1], Index: stride, Scale: 2}, p)
		ADDQ(stride, p)
		out = append(out, p)
	}
	return out
}

// third is row i, from the registers of thirds.
func third(base []Register, stride Register, i int) Mem {
	m := Mem{Base: base[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = stride, uint8(i%3)
	}
	return m
}
