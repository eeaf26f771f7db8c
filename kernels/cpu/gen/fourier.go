package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// butterflies writes the steps of Fourier transforms over rows.
func (s isa) butterflies() {
	s.quarters(false)
	s.quarters(true)
	s.realBins()
}

// quarters is a complex transform of four rows, and of their products with a window.
func (s isa) quarters(windowed bool) {
	name := "Quarters"
	if windowed {
		name = "WindowedQuarters"
	}
	TEXT(name+s.suffix, NOSPLIT, "func(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int)")
	Doc(fmt.Sprintf("%s%s is the %s of vectors.", name, s.suffix, name))
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	n, w, x, xi, y, yi := param("n"), param("w"), param("x"), param("xi"), param("y"), param("yi")
	apart, apartY, three, threeY := param("apart"), param("apartY"), GP64(), GP64()
	LEAQ(Mem{Base: apart, Index: apart, Scale: 2}, three)
	LEAQ(Mem{Base: apartY, Index: apartY, Scale: 2}, threeY)
	at := func(base, one, three Register, i int) Mem {
		switch i {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: three, Scale: 1}
		}
		return Mem{Base: base, Index: one, Scale: uint8(i)}
	}
	weight := func(i int) VecVirtual {
		v := s.reg()
		VBROADCASTSS(Mem{Base: w, Disp: 4 * i}, v)
		return v
	}
	s.strip(n, []Register{x, xi, y, yi}, func(l lane) {
		read := func(base Register, i, part int) VecVirtual {
			v := s.reg()
			l.move(at(base, apart, three, i), v)
			if windowed {
				VMULPS(weight(6+2*i+part), v, v)
			}
			return v
		}
		pair := func(base Register, i, j, part int) (sum, difference VecVirtual) {
			a, b := read(base, i, part), read(base, j, part)
			sum = s.reg()
			VADDPS(b, a, sum)
			VSUBPS(b, a, a)
			return sum, a
		}
		t0r, t1r := pair(x, 0, 2, 0)
		t0i, t1i := pair(xi, 0, 2, 1)
		t2r, t3r := pair(x, 1, 3, 0)
		t2i, t3i := pair(xi, 1, 3, 1)
		both := func(a, b VecVirtual) (sum, difference VecVirtual) {
			sum = s.reg()
			VADDPS(b, a, sum)
			VSUBPS(b, a, a)
			return sum, a
		}
		y0r, u2r := both(t0r, t2r)
		l.moveTo(y0r, at(y, apartY, threeY, 0))
		y0i, u2i := both(t0i, t2i)
		l.moveTo(y0i, at(yi, apartY, threeY, 0))
		turned := func(i int, re, im VecVirtual) {
			c, d := weight(2*i-2), weight(2*i-1)
			p, q := s.reg(), s.reg()
			VMULPS(d, im, p)
			VMULPS(c, im, q)
			VFMSUB231PS(c, re, p)
			VFMADD231PS(d, re, q)
			l.moveTo(p, at(y, apartY, threeY, i))
			l.moveTo(q, at(yi, apartY, threeY, i))
		}
		turned(2, u2r, u2i)
		u1r, u3r := both(t1r, t3i)
		u3i, u1i := both(t1i, t3r)
		turned(1, u1r, u1i)
		turned(3, u3r, u3i)
	})
	VZEROUPPER()
	RET()
}

// realBins makes bins k and m-k of a real transform.
func (s isa) realBins() {
	TEXT("RealBins"+s.suffix, NOSPLIT, "func(n int, w, ar, ai, br, bi, cr, ci, dr, di *float32)")
	Doc("RealBins" + s.suffix + " is the RealBins of vectors.")
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	n, w := param("n"), param("w")
	h, hc, hs := s.reg(), s.reg(), s.reg()
	for i, v := range []VecVirtual{h, hc, hs} {
		VBROADCASTSS(Mem{Base: w, Disp: 4 * i}, v)
	}
	var p []Register
	for _, name := range []string{"ar", "ai", "br", "bi", "cr", "ci", "dr", "di"} {
		p = append(p, param(name))
	}
	s.strip(n, p, func(l lane) {
		read := func(i int) VecVirtual {
			v := s.reg()
			l.move(Mem{Base: p[i]}, v)
			return v
		}
		ar, ai, br, bi := read(0), read(1), read(2), read(3)
		a, o := s.reg(), s.reg()
		VADDPS(br, ar, a)
		VSUBPS(ar, br, br) // br - ar
		VADDPS(bi, ai, o)
		VSUBPS(bi, ai, ai) // ai - bi
		u, v := s.reg(), s.reg()
		VMULPS(hs, br, u)
		VFMADD231PS(hc, o, u)
		VMULPS(hs, o, v)
		VFMSUB231PS(hc, br, v)
		put := func(from VecVirtual, i int, f func(...Op), x VecVirtual) {
			to := s.reg()
			VMOVAPS(from, to)
			f(x, h, to)
			l.moveTo(to, Mem{Base: p[i]})
		}
		put(u, 4, VFMADD231PS, a)
		put(u, 6, VFMSUB231PS, a)
		put(v, 5, VFMADD231PS, ai)
		put(v, 7, VFNMADD231PS, ai)
	})
	VZEROUPPER()
	RET()
}

// strip calls f for each vector of n, and moves pointers on.
func (s isa) strip(n Register, pointers []Register, f func(l lane)) {
	SUBQ(imm(s.lanes()), n)
	JL(LabelRef("tail"))
	Label("loop")
	f(lane{s: s})
	for _, p := range pointers {
		ADDQ(imm(s.bytes), p)
	}
	SUBQ(imm(s.lanes()), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(imm(s.lanes()), n)
	JE(LabelRef("done"))
	f(lane{s: s, mask: s.maskOf(n), tail: true})
	Label("done")
}
