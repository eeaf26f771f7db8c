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

// coding is asm.Coding with its packing.
type coding struct {
	name   string
	width  int
	scales scaling
	kind   kind
	levels bool
}

var codings = []coding{
	{"Q8_0", 8, plain, kinds[0], false}, {"Q4_0", 4, plain, kinds[1], false}, {"Q5_0", 5, plain, kinds[1], false},
	{"IQ4NL", 4, plain, kinds[0], true}, {"Q4_1", 4, least, kinds[3], false}, {"Q5_1", 5, least, kinds[3], false},
	{"Q4G", 4, zero, kinds[3], false}, {"Q4K", 4, small, kinds[3], false}, {"Q5K", 5, small, kinds[3], false},
	{"Q6K", 6, halves, kinds[2], false}, {"Q3K", 3, halves, kinds[2], false}, {"Q2K", 2, leastOf, kinds[4], false},
}

// smallBytes is asm.SmallBytes.
const smallBytes = panel + panel/2

// head is the bytes of a head, without those for each block.
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
	small      Register // what the head has for the block
	masks      map[uint32]VecVirtual
	values     VecVirtual
}

func (s isa) reader(c coding, head, body Register) *reader {
	r := &reader{isa: s, coding: c, head: head, body: body, masks: map[uint32]VecVirtual{}}
	add := func(m uint32) { r.masks[m] = s.all(s.bits(m)) }
	switch c.width {
	case 4, 5, 6:
		add(0x0f0f0f0f)
	case 2, 3:
		add(0x03030303)
	}
	switch c.width {
	case 5:
		add(0x10101010)
	case 6:
		add(0x30303030)
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

func (s isa) masked(a Op, b, dst VecVirtual) {
	if s.bytes == 64 {
		VPANDD(a, b, dst)
	} else {
		VPAND(a, b, dst)
	}
}

func (s isa) move(m Mem, dst VecVirtual) {
	if s.bytes == 64 {
		VMOVDQU32(m, dst)
	} else {
		VMOVDQU(m, dst)
	}
}

func (s isa) put(v VecVirtual, m Mem) {
	if s.bytes == 64 {
		VMOVDQU32(v, m)
	} else {
		VMOVDQU(v, m)
	}
}

// moved gives the bits of v shifted to the right by n, or to the left.
func (s isa) moved(v VecVirtual, n int) VecVirtual {
	if n == 0 {
		return v
	}
	out := s.reg()
	if n > 0 {
		VPSRLW(Imm(uint64(n)), v, out)
	} else {
		VPSLLW(Imm(uint64(-n)), v, out)
	}
	return out
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
	switch r.width {
	case 8:
		for g := range 8 {
			f(g, r.plane(128*g, j))
		}
	case 2, 3:
		r.pairs(j, f)
	default:
		r.nibbles(j, f)
	}
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

// nibbles reads planes of four bits, and a fifth and sixth bit.
func (r *reader) nibbles(j int, f func(g int, v VecVirtual)) {
	var upper []VecVirtual
	for p := range r.width - 4 {
		upper = append(upper, r.plane(512+128*p, j))
	}
	for k := range 4 {
		four := r.plane(128*k, j)
		for half := range 2 {
			g, v := k+4*half, r.reg()
			r.masked(r.masks[0x0f0f0f0f], r.moved(four, 4*half), v)
			switch {
			case r.coding.levels:
				VPSHUFB(v, r.values, v)
			case r.width == 5:
				r.with(v, upper[0], g-4, 0x10101010)
			case r.width == 6:
				r.with(v, upper[half], 2*k-4, 0x30303030)
			}
			f(g, v)
		}
	}
}

// number is vector j of number i of the head.
func (r *reader) number(i, j int) VecVirtual {
	v := r.reg()
	VCVTPH2PS(Mem{Base: r.head, Disp: 2*panel*i + 2*r.lanes()*j}, v)
	return v
}

func (r *reader) negate(v VecVirtual) { VXORPS(r.sign(), v, v) }

// sign is a register with the signs; AVX2 has none to keep it in.
func (r *reader) sign() VecVirtual {
	if r.bytes == 32 {
		return r.all(r.isa.bits(1 << 31))
	}
	if _, ok := r.masks[1<<31]; !ok {
		r.masks[1<<31] = r.all(r.isa.bits(1 << 31))
	}
	return r.masks[1<<31]
}

// inner gives the numbers of the head as scale takes them: the first, and the
// second or what code 0 stands for.
func (r *reader) inner(j int) (d, m VecVirtual) {
	d = r.number(0, j)
	switch r.scales {
	case plain, halves:
		return d, nil
	case zero:
		m = r.number(1, j)
		VMULPS(m, d, m)
		r.negate(m)
		return d, m
	case least:
		return d, r.number(1, j)
	}
	m = r.number(1, j)
	r.negate(m)
	return d, m
}

// scale gives the scale of half h of a block, and the weight of code 0.
func (r *reader) scale(h, j int, d, m VecVirtual) (scale, low VecVirtual) {
	whole := func(row int, signed bool) VecVirtual {
		v, from := r.reg(), Mem{Base: r.body, Disp: panel*row + r.lanes()*j}
		if signed {
			VPMOVSXBD(from, v)
		} else {
			VPMOVZXBD(from, v)
		}
		return v
	}
	times := func(v, x VecVirtual) VecVirtual {
		VCVTDQ2PS(v, v)
		VMULPS(x, v, v)
		return v
	}
	switch r.scales {
	case small:
		low, high, s, t := r.reg(), r.reg(), r.reg(), r.reg()
		VPMOVZXBD(Mem{Base: r.small, Disp: r.lanes() * j}, low)
		VPMOVZXBD(Mem{Base: r.small, Disp: panel + r.lanes()*j%16}, high)
		shifted := func(left int, dst VecVirtual) {
			if left > 0 {
				VPSLLD(Imm(uint64(left)), high, dst)
			} else {
				VPSRLD(Imm(uint64(-left)), high, dst)
			}
		}
		upper := r.lanes() * j / 16 * 4 // place of the bits of these columns
		shifted(4-upper, s)
		shifted(2-upper, t)
		s, t = r.and(s, r.isa.bits(0x30)), r.and(t, r.isa.bits(0x30))
		s = r.or(s, r.and(low, r.isa.bits(0xf)))
		VPSRLD(Imm(4), low, low)
		t = r.or(t, low)
		return times(s, d), times(t, m)
	case halves:
		return times(whole(h, true), d), nil
	case leastOf:
		v, t := whole(h, false), r.reg()
		VPSRLD(Imm(4), v, t)
		VPSLLD(Imm(28), v, v)
		VPSRLD(Imm(28), v, v)
		return times(v, d), times(t, m)
	}
	return d, m
}

// supers goes through n super-blocks, and calls each for every block.
func (r *reader) supers(n, per Register, begin, each func()) {
	left, bodies := GP64(), GP64()
	if r.scales == small {
		r.small = GP64()
		IMUL3Q(Imm(smallBytes), per, bodies)
	}
	Label("super")
	LEAQ(Mem{Base: r.head, Disp: r.coding.head()}, r.body)
	if r.scales == small {
		MOVQ(r.body, r.small)
		ADDQ(bodies, r.body)
	}
	begin()
	if r.scales >= zero {
		MOVQ(per, left)
		Label("block")
	}
	each()
	ADDQ(imm(r.coding.body()), r.body)
	if r.scales == small {
		ADDQ(Imm(smallBytes), r.small)
	}
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
