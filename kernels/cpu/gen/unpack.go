package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// scaling is asm.Scales.
type scaling int

const (
	plain scaling = iota
	least
	zero
	small
	halves
	leastOf
)

// coding is asm.Coding.
type coding struct {
	name   string
	width  int
	scales scaling
	kind   kind
	levels bool
}

// codings are those in panels.
var codings = []coding{
	{"Q5_0", 5, plain, kinds[1], false}, {"IQ4NL", 4, plain, kinds[0], true}, {"Q5_1", 5, least, kinds[3], false},
	{"Q4G", 4, zero, kinds[3], false}, {"Q3K", 3, halves, kinds[2], false}, {"Q2K", 2, leastOf, kinds[4], false},
}

// head is the bytes of a head.
func (c coding) head() int {
	if c.scales == plain || c.scales == halves {
		return 2 * panel
	}
	return 4 * panel
}

func (c coding) whole() int {
	if c.scales <= small {
		return 0
	}
	return 2 * panel
}

func (c coding) body() int { return c.whole() + c.width*4*panel }

// reader makes the codes and scales of a block from where it is packed.
type reader struct {
	isa
	coding
	head, body Register
	masks      map[uint32]VecVirtual
	values     VecVirtual
}

func (s isa) reader(c coding, head, body Register) *reader {
	r := &reader{isa: s, coding: c, head: head, body: body, masks: map[uint32]VecVirtual{}}
	add := func(m uint32) { r.masks[m] = s.all(s.bits(m)) }
	switch c.width {
	case 4, 5:
		add(0x0f0f0f0f)
	case 2, 3:
		add(0x03030303)
	}
	switch c.width {
	case 5:
		add(0x10101010)
	case 3:
		add(0x04040404)
	}
	if c.levels {
		r.values = s.reg()
		m := NewDataAddr(NewStaticSymbol("levels"+s.suffix), 0)
		if s.bytes == 64 {
			VBROADCASTI32X4(m, r.values)
		} else {
			VBROADCASTI128(m, r.values)
		}
	}
	return r
}

// writeLevels writes the table of iq4_nl, whose values are 128 more.
func (s isa) writeLevels() {
	GLOBL("levels"+s.suffix, RODATA|NOPTR)
	for i, v := range []byte{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241} {
		DATA(i, U8(v))
	}
}

// with puts the bits of mask, of plane shifted by n, beside those of v.
func (r *reader) with(v, plane VecVirtual, n int, mask uint32) {
	bits := r.moved(plane, n)
	if r.bytes == 64 {
		VPTERNLOGD(Imm(0xf8), r.masks[mask], bits, v) // v | bits & mask
		return
	}
	t := r.reg()
	VPAND(r.masks[mask], bits, t)
	VPOR(t, v, v)
}

// plane is vector j of 128 bytes at an offset from the codes.
func (r *reader) plane(offset, j int) VecVirtual {
	v := r.reg()
	r.move(r.at(offset, j), v)
	return v
}

func (r *reader) at(offset, j int) Mem {
	return Mem{Base: r.body, Disp: r.whole() + offset + r.bytes*j}
}

// codes calls f with the codes of every group, for vector j of columns.
func (r *reader) codes(j int, f func(g int, v VecVirtual)) {
	if r.width < 4 {
		r.pairs(j, f)
		return
	}
	r.nibbles(j, f)
}

// pairs reads planes of two bits, and a third bit.
func (r *reader) pairs(j int, f func(g int, v VecVirtual)) {
	var third VecVirtual
	if r.width == 3 {
		third = r.plane(256, j)
	}
	for p := range 2 {
		two := r.plane(128*p, j)
		for k := range 4 {
			g, v := 4*p+k, r.reg()
			r.masked(r.masks[0x03030303], r.moved(two, 2*k), v)
			if r.width == 3 {
				r.with(v, third, g-2, 0x04040404)
			}
			f(g, v)
		}
	}
}

// nibbles reads planes of four bits, and a fifth bit.
func (r *reader) nibbles(j int, f func(g int, v VecVirtual)) {
	var fifth VecVirtual
	if r.width == 5 {
		fifth = r.plane(512, j)
	}
	for k := range 4 {
		four := r.plane(128*k, j)
		for half := range 2 {
			g, v := k+4*half, r.reg()
			r.masked(r.masks[0x0f0f0f0f], r.moved(four, 4*half), v)
			if r.coding.levels {
				VPSHUFB(v, r.values, v)
			}
			if r.width == 5 {
				r.with(v, fifth, g-4, 0x10101010)
			}
			f(g, v)
		}
	}
}

// supers goes through n super-blocks, and calls each for every block.
func (r *reader) supers(n, per Register, begin, each func()) {
	left := GP64()
	Label("super")
	LEAQ(Mem{Base: r.head, Disp: r.coding.head()}, r.body)
	begin()
	if r.scales >= zero {
		MOVQ(per, left)
		Label("block")
	}
	each()
	ADDQ(imm(r.coding.body()), r.body)
	if r.scales >= zero {
		DECQ(left)
		JNE(LabelRef("block"))
	}
	MOVQ(r.body, r.head)
	DECQ(n)
	JNE(LabelRef("super"))
}

// unpack writes blocks as bytes with scales of f32.
func (s isa) unpack(c coding) {
	name := "Unpack" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n, per int, w, dst *byte)")
	Doc(name + " is the Unpack of that coding.")
	Pragma("noescape")
	n, per := Load(Param("n"), GP64()), Load(Param("per"), GP64())
	w, dst := Load(Param("w"), GP64()), Load(Param("dst"), GP64())
	r := s.reader(c, w, GP64())
	if c.scales >= zero && c.scales != halves {
		r.sign()
	}
	r.supers(n, per, func() {}, func() {
		for j := range panel / s.lanes() {
			d, m := r.inner(j)
			for h := range c.kind.halves {
				scale, low := r.scale(h, j, d, m)
				VMOVUPS(scale, Mem{Base: dst, Disp: 4*panel*h + s.bytes*j})
				if c.kind.least {
					VMOVUPS(low, Mem{Base: dst, Disp: 4*panel*(c.kind.halves+h) + s.bytes*j})
				}
			}
			r.codes(j, func(g int, v VecVirtual) {
				s.put(v, Mem{Base: dst, Disp: c.kind.scales() + 4*panel*g + s.bytes*j})
			})
		}
		ADDQ(imm(c.kind.scales()+32*panel), dst)
	})
	VZEROUPPER()
	RET()
}
