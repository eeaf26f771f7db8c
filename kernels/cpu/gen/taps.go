package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// windows writes products whose operands are listed tap by tap.
func (s isa) windows() {
	for m := 1; m <= s.rows; m++ {
		s.taps(m)
	}
	s.weighted()
	for m := 1; m < len(correlateTaps); m++ {
		s.correlate(m)
	}
	s.butterflies()
	s.winograd()
}

// taps is a tile of m rows whose sum runs over channels and taps.
func (s isa) taps(m int) {
	name := fmt.Sprintf("Taps%d%s", m, s.suffix)
	TEXT(name, NOSPLIT, "func(channels, taps int, a *float32, nextA int, b *float32, nextB int, at *int, c *float32, ldc int, load int)")
	Doc(fmt.Sprintf("%s is the Taps of %d rows.", name, m))
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	floats := func(name string) Register {
		r := param(name)
		SHLQ(Imm(2), r)
		return r
	}
	vecs, halves := panel/s.lanes(), 1
	if s.bytes == 32 && m > 2 {
		vecs, halves = 2, 2
	}
	for half := range halves {
		t := tile{s: s, e: elems[0], m: m, vecs: vecs, disp: half * vecs * s.lanes(), label: fmt.Sprint(half)}
		t.c, t.ldc = param("c"), floats("ldc")
		t.start(param("load"))
		channels, a, nextA, b, nextB := param("channels"), param("a"), floats("nextA"), param("b"), floats("nextB")
		w := make([]VecVirtual, vecs)
		for j := range w {
			w[j] = s.reg()
		}
		x, at, left, ra, rb := s.reg(), GP64(), GP64(), GP64(), GP64()
		Label("channel" + t.label)
		Load(Param("taps"), left)
		Load(Param("at"), at)
		Label("tap" + t.label)
		MOVQ(Mem{Base: at}, ra)
		MOVQ(Mem{Base: at, Disp: 8}, rb)
		ADDQ(a, ra)
		ADDQ(b, rb)
		ADDQ(Imm(16), at)
		for j := range w {
			VMOVUPS(Mem{Base: rb, Disp: 4 * (t.disp + s.lanes()*j)}, w[j])
		}
		for i := range t.acc {
			VBROADCASTSS(Mem{Base: ra, Disp: 4 * i}, x)
			for j := range w {
				VFMADD231PS(w[j], x, t.acc[i][j])
			}
		}
		DECQ(left)
		JNE(LabelRef("tap" + t.label))
		ADDQ(nextA, a)
		ADDQ(nextB, b)
		DECQ(channels)
		JNE(LabelRef("channel" + t.label))
		t.c, t.ldc = param("c"), floats("ldc")
		t.write()
	}
	VZEROUPPER()
	RET()
}

// weighted is one row of any length whose sum runs over taps.
func (s isa) weighted() {
	name := "Weighted" + s.suffix
	TEXT(name, NOSPLIT, "func(n, taps int, a, b *float32, at *int, c *float32, load int)")
	Doc(name + " is the Weighted of vectors.")
	Pragma("noescape")
	n, a, b, c := Load(Param("n"), GP64()), Load(Param("a"), GP64()), Load(Param("b"), GP64()), Load(Param("c"), GP64())
	load := Load(Param("load"), GP64())
	at, left, rb, x := GP64(), GP64(), GP64(), s.reg()
	sum := func(count int, label string, mask Op) {
		acc := make([]VecVirtual, count)
		for i := range acc {
			acc[i] = s.reg()
			s.zero(acc[i])
		}
		l := lane{s: s, mask: mask, tail: mask != nil}
		mem := func(base Register, i int) Mem { return Mem{Base: base, Disp: s.bytes * i} }
		TESTQ(load, load)
		JE(LabelRef("from" + label))
		for i, v := range acc {
			l.move(mem(c, i), v)
		}
		Label("from" + label)
		Load(Param("taps"), left)
		Load(Param("at"), at)
		Label("tap" + label)
		MOVQ(Mem{Base: at}, rb)
		VBROADCASTSS(Mem{Base: a, Index: rb, Scale: 1}, x)
		MOVQ(Mem{Base: at, Disp: 8}, rb)
		ADDQ(b, rb)
		ADDQ(Imm(16), at)
		for i, v := range acc {
			if mask == nil {
				VFMADD231PS(mem(rb, i), x, v)
				continue
			}
			w := s.reg()
			l.move(mem(rb, i), w)
			VFMADD231PS(w, x, v)
		}
		DECQ(left)
		JNE(LabelRef("tap" + label))
		for i, v := range acc {
			l.moveTo(v, mem(c, i))
		}
	}
	for _, count := range []int{8, 4, 2, 1} {
		width := imm(count * s.lanes())
		label := fmt.Sprint(count)
		SUBQ(width, n)
		JL(LabelRef("end" + label))
		Label("loop" + label)
		sum(count, label, nil)
		ADDQ(imm(count*s.bytes), b)
		ADDQ(imm(count*s.bytes), c)
		SUBQ(width, n)
		JGE(LabelRef("loop" + label))
		Label("end" + label)
		ADDQ(width, n)
	}
	TESTQ(n, n)
	JE(LabelRef("done"))
	sum(1, "tail", s.maskOf(n))
	Label("done")
	VZEROUPPER()
	RET()
}

// move reads a vector; in the tail, zeros beyond the end.
func (l lane) move(m Mem, v VecVirtual) {
	switch {
	case !l.tail:
		VMOVUPS(m, v)
	case l.s.bytes == 64:
		VMOVUPS_Z(m, l.mask, v)
	default:
		VMASKMOVPS(m, l.mask, v)
	}
}

func (l lane) moveTo(v VecVirtual, m Mem) {
	switch {
	case !l.tail:
		VMOVUPS(v, m)
	case l.s.bytes == 64:
		VMOVUPS(v, l.mask, m)
	default:
		VMASKMOVPS(v, l.mask, m)
	}
}

// windowTable is the Go file that finds the functions over windows.
func (s isa) windowTable() string {
	var b strings.Builder
	b.WriteString(tableHead)
	fmt.Fprintf(&b, "// windows%s holds the functions over windows of %s.\n", s.suffix, s.name)
	fmt.Fprintf(&b, "func windows%s() Windows {\n\treturn Windows{\n\t\tTaps: []Taps{nil", s.suffix)
	for m := 1; m <= s.rows; m++ {
		fmt.Fprintf(&b, ", Taps%d%s", m, s.suffix)
	}
	b.WriteString("},\n\t\tCorrelate: []Correlate{nil")
	for m := 1; m < len(correlateTaps); m++ {
		fmt.Fprintf(&b, ", Correlate%d%s", m, s.suffix)
	}
	fmt.Fprintf(&b, "},\n\t\tWeighted: Weighted%[1]s,\n\t\tQuarters: Quarters%[1]s,\n\t\tWindowedQuarters: WindowedQuarters%[1]s,\n\t\tPairs: Pairs%[1]s,\n\t\tFifths: Fifths%[1]s,\n\t\tRealBins: RealBins%[1]s,\n\t\tTileWeights: TileWeights%[1]s,\n\t\tTilePatches: TilePatches%[1]s,\n\t\tTileSums: TileSums%[1]s,\n\t}\n}\n", s.suffix)
	return b.String()
}
