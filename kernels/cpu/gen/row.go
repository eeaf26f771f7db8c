package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowOf is one row over a panel as it is packed.
func (s isa) rowOf(c coding) {
	name := "Row" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n, per int, x, w *byte, y *float32, bias *float32)")
	Doc(fmt.Sprintf("%s is the Row of that coding.", name))
	Pragma("noescape")
	n, per := Load(Param("n"), GP64()), Load(Param("per"), GP64())
	x, w := Load(Param("x"), GP64()), Load(Param("w"), GP64())
	y, bias := Load(Param("y"), GP64()), Load(Param("bias"), GP64())
	r := s.reader(c, w, GP64())
	if s.bytes == 64 && c.scales >= zero && c.scales != halves {
		r.sign()
	}
	vecs := panel / s.lanes()
	acc, d, m := make([]VecVirtual, vecs), make([]VecVirtual, vecs), make([]VecVirtual, vecs)
	for j := range acc {
		acc[j] = s.reg()
		s.zero(acc[j])
	}
	TESTQ(n, n)
	JE(LabelRef("end"))
	if s.bytes == 64 {
		r.supers(n, per, func() {
			for j := range acc {
				d[j], m[j] = r.inner(j)
			}
		}, func() {
			for j := range acc {
				r.rowBlock(x, j, acc[j], d[j], m[j])
			}
			ADDQ(Imm(blockX), x)
		})
	} else {
		r.supers(n, per, func() {}, func() {
			for j := range acc {
				r.ahead(j, len(acc))
				r.rowBlockBytes(x, j, acc[j])
			}
			ADDQ(Imm(blockX), x)
		})
	}
	Label("end")
	TESTQ(bias, bias)
	JE(LabelRef("write"))
	for j := range acc {
		VADDPS(Mem{Base: bias, Disp: s.bytes * j}, acc[j], acc[j])
	}
	Label("write")
	for j := range acc {
		VMOVUPS(acc[j], Mem{Base: y, Disp: s.bytes * j})
	}
	VZEROUPPER()
	RET()
}

// rowBlock adds a block's products for vector j of columns. There are two
// chains of sums: of the halves, or of low and high groups.
func (r *reader) rowBlock(x Register, j int, acc, d, m VecVirtual) {
	k := r.kind
	sums := []VecVirtual{r.reg(), r.reg()}
	for h, v := range sums {
		if k.least || h >= k.halves {
			r.zero(v)
		} else {
			VPBROADCASTD(Mem{Base: x, Disp: 4 + 4*h}, v)
		}
	}
	r.codes(j, func(g int, v VecVirtual) { VPDPBUSD_BCST(Mem{Base: x, Disp: 16 + 4*g}, v, sums[g/4]) })
	if k.halves == 1 {
		VPADDD(sums[1], sums[0], sums[0])
	}
	for h := range k.halves {
		scale, low := r.scale(h, j, d, m)
		both := r.reg()
		VMULPS_BCST(Mem{Base: x}, scale, both)
		VCVTDQ2PS(sums[h], sums[h])
		VFMADD231PS(both, sums[h], acc)
		if k.least {
			VFMADD231PS_BCST(Mem{Base: x, Disp: 4 + 4*h}, low, acc)
		}
	}
}

// rowAhead is how far ahead of its use a row of products asks for memory, in bytes.
const rowAhead = 4096

// ahead asks for part j of n of what a block takes.
func (r *reader) ahead(j, n int) {
	lines := (r.coding.body() + 63) / 64
	for l := j * lines / n; l < (j+1)*lines/n; l++ {
		PREFETCHT0(Mem{Base: r.body, Disp: rowAhead + 64*l})
	}
}

// exact is how many groups of codes times activations an i16 takes, two of a
// group being added by the product itself. Bytes with a sign come as magnitudes.
func (c coding) exact() int {
	if c.kind.signed {
		return 1
	}
	return min(8, math.MaxInt16/(2*127*(1<<c.width-1)))
}

// rowBlockBytes is rowBlock without products of four bytes: those of two are
// added up in i16 as long as that is exact.
func (r *reader) rowBlockBytes(x Register, j int, acc VecVirtual) {
	k := r.kind
	sums, pairs, held := make([]VecVirtual, k.halves), make([]VecVirtual, k.halves), make([]int, k.halves)
	flush := func(h int) {
		if held[h] == 0 {
			return
		}
		held[h] = 0
		VPMADDWD(r.isa.bits(0x00010001).Mem, pairs[h], pairs[h])
		if sums[h] == nil {
			sums[h] = pairs[h]
			return
		}
		VPADDD(pairs[h], sums[h], sums[h])
	}
	r.codes(j, func(g int, v VecVirtual) {
		h := g / 4 * (k.halves - 1)
		t := r.reg()
		VPBROADCASTD(Mem{Base: x, Disp: 16 + 4*g}, t)
		if k.signed {
			VPXOR(r.isa.bits(0x80808080).Mem, v, v)
			VPSIGNB(v, t, t)
			VPABSB(v, v)
		}
		VPMADDUBSW(t, v, t)
		if held[h] == 0 {
			pairs[h] = t
		} else {
			VPADDW(t, pairs[h], pairs[h])
		}
		if held[h]++; held[h] == r.exact() {
			flush(h)
		}
	})
	d, m := r.inner(j)
	for h := range k.halves {
		flush(h)
		t := r.reg()
		if !k.least && !k.signed {
			VPBROADCASTD(Mem{Base: x, Disp: 4 + 4*h}, t)
			VPADDD(t, sums[h], sums[h])
		}
		scale, low := r.scale(h, j, d, m)
		VBROADCASTSS(Mem{Base: x}, t)
		VMULPS(t, scale, t)
		VCVTDQ2PS(sums[h], sums[h])
		VFMADD231PS(t, sums[h], acc)
		if k.least {
			VBROADCASTSS(Mem{Base: x, Disp: 4 + 4*h}, t)
			VFMADD231PS(t, low, acc)
		}
	}
}
