package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eachRows goes through a panel of rows: begin for as many as a vector has
// lanes, each for their n super-blocks, and end. The offset is that of the rows in a vector
// of the panel's floats, in bytes.
func (s isa) eachRows(c rowCoding, w, stride Register, begin func(offset Register, r *fileRows), each, end func()) {
	offset, left := GP64(), GP64()
	XORQ(offset, offset)
	Label("group")
	first := GP64()
	MOVQ(w, first)
	r := s.fileRows(c, thirds(first, stride, s.lanes()), stride)
	LEAQ(Mem{Base: w, Index: stride, Scale: 8}, w)
	Load(Param("n"), left)
	begin(offset, r)
	TESTQ(left, left)
	JE(LabelRef("end"))
	Label("super")
	each()
	r.advance()
	DECQ(left)
	JNE(LabelRef("super"))
	Label("end")
	end()
	ADDQ(imm(s.bytes), offset)
	CMPQ(offset, imm(4*panel))
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// unpackRows makes of rows what unpack makes of panels.
func (s isa) unpackRows(c rowCoding) {
	name := "UnpackRows" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n int, w *byte, stride int, dst *byte)")
	Doc(fmt.Sprintf("%s is the UnpackRows of that coding.", name))
	Pragma("noescape")
	w, stride, dst := Load(Param("w"), GP64()), Load(Param("stride"), GP64()), GP64()
	room := c.kind.scales() + 32*panel
	var r *fileRows
	s.eachRows(c, w, stride, func(offset Register, of *fileRows) {
		r = of
		Load(Param("dst"), dst)
		ADDQ(offset, dst)
	}, func() {
		r.begin()
		r.codes(func(b, g int, v VecVirtual) {
			if c.kind.signed {
				VPXOR(s.bits(0x80808080).Mem, v, v)
			}
			VMOVDQU(v, Mem{Base: dst, Disp: b*room + c.kind.scales() + 4*panel*g})
		}, func(b int) {
			for h := range c.kind.halves {
				scale, low := r.scale(b, h)
				VMOVUPS(scale, Mem{Base: dst, Disp: b*room + 4*panel*h})
				if low != nil {
					VMOVUPS(low, Mem{Base: dst, Disp: b*room + 4*panel*(c.kind.halves+h)})
				}
			}
		})
		ADDQ(imm(c.per*room), dst)
	}, func() {})
}

// rowTimesRows is one row of activations times a panel of rows.
func (s isa) rowTimesRows(c rowCoding) {
	name := "RowTimesRows" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n int, x, w *byte, stride int, y *float32, bias *float32)")
	Doc(fmt.Sprintf("%s is the RowTimesRows of that coding.", name))
	Pragma("noescape")
	w, stride, x, ahead := Load(Param("w"), GP64()), Load(Param("stride"), GP64()), GP64(), GP64()
	y, bias := Load(Param("y"), GP64()), Load(Param("bias"), GP64())
	var sums rowSums
	var at Register
	s.eachRows(c, w, stride, func(offset Register, r *fileRows) {
		sums = rowSums{fileRows: r, x: x, acc: s.reg(), of: map[[2]int]*rowSum{}}
		s.zero(sums.acc)
		MOVQ(w, ahead) // the rows that follow
		Load(Param("x"), x)
		at = offset
	}, func() {
		bytes := s.lanes() * c.size
		for line := 0; line < bytes; line += 64 {
			PREFETCHT1(Mem{Base: ahead, Disp: line})
		}
		ADDQ(imm(bytes), ahead)
		sums.begin()
		sums.codes(sums.add, sums.done)
		ADDQ(imm(c.per*blockX), x)
	}, func() {
		TESTQ(bias, bias)
		JE(LabelRef("write"))
		VADDPS(Mem{Base: bias, Index: at, Scale: 1}, sums.acc, sums.acc)
		Label("write")
		VMOVUPS(sums.acc, Mem{Base: y, Index: at, Scale: 1})
	})
}

// rowSums adds up the products of one row of activations with rows, for each block and half.
type rowSums struct {
	*fileRows
	x   Register
	acc VecVirtual
	of  map[[2]int]*rowSum
}

// rowSum is a sum of products of whole numbers: pairs of them in i16 as long as
// that is exact, and the whole.
type rowSum struct {
	pairs, whole VecVirtual
	held, groups int
}

func (a *rowSums) activations(b, disp int) Mem { return Mem{Base: a.x, Disp: b*blockX + disp} }

// add adds the products of group g of block b.
func (a *rowSums) add(b, g int, v VecVirtual) {
	key := [2]int{b, g / 4 * (a.kind.halves - 1)}
	s := a.of[key]
	if s == nil {
		s = &rowSum{}
		a.of[key] = s
	}
	t := a.reg()
	VPBROADCASTD(a.activations(b, 16+4*g), t)
	if a.kind.signed {
		VPSIGNB(v, t, t)
		VPABSB(v, v)
	}
	VPMADDUBSW(t, v, t)
	if s.held == 0 {
		s.pairs = t
	} else {
		VPADDW(t, s.pairs, s.pairs)
	}
	s.groups++
	all := s.groups == 8/a.kind.halves
	if s.held++; s.held < a.exact() && !all {
		return
	}
	s.held = 0
	VPMADDWD(a.bits(0x00010001).Mem, s.pairs, s.pairs)
	if s.whole == nil {
		s.whole = s.pairs
	} else {
		VPADDD(s.pairs, s.whole, s.whole)
	}
	if all && a.kind.halves == 2 {
		a.keep(roomSums+2*(b%4)+key[1], s.whole)
	}
}

// done adds the sums of block b, times their scales, and what code 0 stands for.
func (a *rowSums) done(b int) {
	for h := range a.kind.halves {
		t, sum := a.reg(), a.of[[2]int{b, h}].whole
		if a.kind.halves == 2 {
			sum = a.kept(roomSums + 2*(b%4) + h)
		}
		if !a.kind.least && !a.kind.signed {
			VPBROADCASTD(a.activations(b, 4+4*h), t)
			VPADDD(t, sum, sum)
		}
		scale, low := a.scale(b, h)
		VBROADCASTSS(a.activations(b, 0), t)
		VMULPS(t, scale, scale)
		VCVTDQ2PS(sum, sum)
		VFMADD231PS(scale, sum, a.acc)
		if low != nil {
			VBROADCASTSS(a.activations(b, 4+4*h), t)
			VFMADD231PS(t, low, a.acc)
		}
	}
}
