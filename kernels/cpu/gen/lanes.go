package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Arithmetic on vectors of floats, one Go function an operation, so that the
// formulas of vecmath.go are written once for all widths. An operation makes a
// new register unless it says that it changes one.

func (s isa) copyOf(x VecVirtual) VecVirtual {
	v := s.reg()
	VMOVAPS(x, v)
	return v
}

type ops = func(ops ...Op)

// emit writes an instruction whose first operand may be a word, which
// AVX-512 repeats.
func (s isa) emit(plain, repeated ops, x Op, rest ...Op) {
	if w, ok := x.(word); ok {
		if v, ok := s.inRegister(w); ok {
			plain(append([]Op{v}, rest...)...)
			return
		}
		if s.bytes == 64 {
			repeated(append([]Op{w.Mem}, rest...)...)
			return
		}
		x = w.Mem
	}
	plain(append([]Op{x}, rest...)...)
}

// two makes an operation of a register and a register or word: a op b.
func (s isa) two(plain, repeated ops, a VecVirtual, b Op) VecVirtual {
	v := s.reg()
	s.emit(plain, repeated, b, a, v)
	return v
}

func (s isa) add(a VecVirtual, b Op) VecVirtual { return s.two(VADDPS, VADDPS_BCST, a, b) }
func (s isa) sub(a VecVirtual, b Op) VecVirtual { return s.two(VSUBPS, VSUBPS_BCST, a, b) }
func (s isa) mul(a VecVirtual, b Op) VecVirtual { return s.two(VMULPS, VMULPS_BCST, a, b) }
func (s isa) div(a VecVirtual, b Op) VecVirtual { return s.two(VDIVPS, VDIVPS_BCST, a, b) }

// lesser is a < b ? a : b, so a NaN in b stays.
func (s isa) lesser(a word, b VecVirtual) VecVirtual { return s.oneOf(VMINPS, a, b) }

// greater is a > b ? a : b, so a NaN in b stays.
func (s isa) greater(a word, b VecVirtual) VecVirtual { return s.oneOf(VMAXPS, a, b) }

func (s isa) oneOf(f ops, a word, b VecVirtual) VecVirtual {
	v := s.reg()
	from, ok := s.inRegister(a)
	if !ok {
		VBROADCASTSS(a.Mem, v)
		from = v
	}
	f(b, from, v)
	return v
}

// then changes p to p*x + c.
func (s isa) then(p, x VecVirtual, c Op) { s.emit(VFMADD213PS, VFMADD213PS_BCST, c, x, p) }

// plus changes acc to a*b + acc.
func (s isa) plus(acc, a VecVirtual, b Op) { s.emit(VFMADD231PS, VFMADD231PS_BCST, b, a, acc) }

// minus changes acc to acc - a*b.
func (s isa) minus(acc, a VecVirtual, b Op) { s.emit(VFNMADD231PS, VFNMADD231PS_BCST, b, a, acc) }

// horner evaluates a polynomial at x, from the highest power down.
func (s isa) horner(p series, x VecVirtual) VecVirtual {
	v := s.all(s.c(p.c[len(p.c)-1]))
	for i := len(p.c) - 2; i >= 0; i-- {
		s.then(v, x, s.c(p.c[i]))
	}
	return v
}

func (s isa) and(a VecVirtual, b Op) VecVirtual {
	if s.bytes == 64 {
		return s.two(VPANDD, VPANDD_BCST, a, b)
	}
	return s.two(func(o ...Op) { VPAND(o[0], o[1], o[2]) }, nil, a, b)
}

func (s isa) or(a VecVirtual, b Op) VecVirtual {
	if s.bytes == 64 {
		return s.two(VPORD, VPORD_BCST, a, b)
	}
	return s.two(func(o ...Op) { VPOR(o[0], o[1], o[2]) }, nil, a, b)
}

func (s isa) xor(a VecVirtual, b Op) VecVirtual {
	if s.bytes == 64 {
		return s.two(VPXORD, VPXORD_BCST, a, b)
	}
	return s.two(func(o ...Op) { VPXOR(o[0], o[1], o[2]) }, nil, a, b)
}

func (s isa) addInt(a VecVirtual, b Op) VecVirtual { return s.two(VPADDD, VPADDD_BCST, a, b) }
func (s isa) subInt(a VecVirtual, b Op) VecVirtual { return s.two(VPSUBD, VPSUBD_BCST, a, b) }

func (s isa) shift(f ops, n uint64, a VecVirtual) VecVirtual {
	v := s.reg()
	f(Imm(n), a, v)
	return v
}

func (s isa) abs(x VecVirtual) VecVirtual { return s.and(x, s.bits(0x7fffffff)) }

// withSign is x with the sign of y; x has none.
func (s isa) withSign(x, y VecVirtual) VecVirtual { return s.or(x, s.and(y, s.bits(0x80000000))) }

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

// Comparisons that are false for NaN, except unordered.
const (
	equal     = 0x00
	unordered = 0x03
	less      = 0x11
	greater   = 0x1e
	atLeast   = 0x1d

	notAtLeast = 0x19 // true for NaN, as is
	notLess    = 0x15
)

// pick is, lane by lane, a cmp b ? yes : no.
func (s isa) pick(cmp uint64, a VecVirtual, b Op, yes, no VecVirtual) VecVirtual {
	v := s.reg()
	if s.bytes == 64 {
		k := K()
		s.compare(cmp, a, b, k)
		VBLENDMPS(yes, no, k, v)
		return v
	}
	if w, ok := b.(word); ok {
		b = w.Mem
	}
	m := s.reg()
	VCMPPS(Imm(cmp), b, a, m)
	VBLENDVPS(m, yes, no, v)
	return v
}

// compare sets the lanes of k where a cmp b.
func (s isa) compare(cmp uint64, a VecVirtual, b, k Op) {
	with := func(f ops) ops { return func(o ...Op) { f(append([]Op{Imm(cmp)}, o...)...) } }
	s.emit(with(VCMPPS), with(VCMPPS_BCST), b, a, k)
}

// lane is the place of a vector in rows of elements.
type lane struct {
	s     isa
	index Register
	disp  int // elements
	tail  bool
	mask  Op // of the tail: a mask register, or a vector for AVX2
}

func (l lane) at(base Register, size int) Mem {
	return Mem{Base: base, Index: l.index, Scale: uint8(size), Disp: size * l.disp}
}

// load reads floats; in the tail, zeros beyond the end.
func (l lane) load(base Register) VecVirtual {
	v := l.s.reg()
	switch {
	case !l.tail:
		VMOVUPS(l.at(base, 4), v)
	case l.s.bytes == 64:
		VMOVUPS_Z(l.at(base, 4), l.mask, v)
	default:
		VMASKMOVPS(l.at(base, 4), l.mask, v)
	}
	return v
}

func (l lane) store(v VecVirtual, base Register) {
	switch {
	case !l.tail && l.s.stream:
		VMOVNTPS(v, l.at(base, 4))
	case !l.tail:
		VMOVUPS(v, l.at(base, 4))
	case l.s.bytes == 64:
		VMOVUPS(v, l.mask, l.at(base, 4))
	default:
		VMASKMOVPS(v, l.mask, l.at(base, 4))
	}
}

// each calls body for the vectors of n elements, so many at once, and for
// what is left over. It changes n.
func (s isa) each(n Register, at int, body func(l []lane)) {
	index := GP64()
	XORQ(index, index)
	for _, count := range []int{at, 1} {
		width := imm(count * s.lanes())
		loop, end := fmt.Sprint("loop", count), fmt.Sprint("end", count)
		SUBQ(width, n)
		JL(LabelRef(end))
		Label(loop)
		lanes := make([]lane, count)
		for u := range lanes {
			lanes[u] = lane{s: s, index: index, disp: u * s.lanes()}
		}
		body(lanes)
		ADDQ(width, index)
		SUBQ(width, n)
		JGE(LabelRef(loop))
		Label(end)
		ADDQ(width, n)
		if at == 1 {
			break
		}
	}
	TESTQ(n, n)
	JE(LabelRef("done"))
	body([]lane{{s: s, index: index, tail: true, mask: s.maskOf(n)}})
	Label("done")
}

// maskOf covers the first n lanes.
func (s isa) maskOf(n Register) Op {
	if s.bytes == 64 {
		bits, k := GP64(), K()
		MOVQ(I32(-1), bits)
		BZHIQ(n, bits, bits)
		KMOVW(bits.As32(), k)
		return k
	}
	count, m := XMM(), YMM()
	VMOVQ(n, count)
	VPBROADCASTD(count, m)
	VPCMPGTD(s.constantAt(0), m, m)
	return m
}
