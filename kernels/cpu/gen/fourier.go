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
	s.pairs()
	s.fifths()
	s.realBins()
}

// quarters is a complex transform of four rows, and of their products with a window.
func (s isa) quarters(windowed bool) {
	name := "Quarters"
	if windowed {
		name = "WindowedQuarters"
	}
	r := s.transform(name)
	s.strip(r.n, []Register{r.x, r.xi, r.y, r.yi}, func(l lane) {
		pair := func(base Register, i, j, part int) (sum, difference VecVirtual) {
			a, b := r.read(l, base, i), r.read(l, base, j)
			if windowed {
				VMULPS(r.weight(6+2*i+part), a, a)
				VMULPS(r.weight(6+2*j+part), b, b)
			}
			return r.both(a, b)
		}
		t0r, t1r := pair(r.x, 0, 2, 0)
		t0i, t1i := pair(r.xi, 0, 2, 1)
		t2r, t3r := pair(r.x, 1, 3, 0)
		t2i, t3i := pair(r.xi, 1, 3, 1)
		y0r, u2r := r.both(t0r, t2r)
		l.moveTo(y0r, Mem{Base: r.y})
		y0i, u2i := r.both(t0i, t2i)
		l.moveTo(y0i, Mem{Base: r.yi})
		r.turned(l, 2, u2r, u2i)
		u1r, u3r := r.both(t1r, t3i)
		u3i, u1i := r.both(t1i, t3r)
		r.turned(l, 1, u1r, u1i)
		r.turned(l, 3, u3r, u3i)
	})
	VZEROUPPER()
	RET()
}

// rows is what transforms of r rows share: where rows lie.
type rows struct {
	s                    isa
	n, w, x, xi, y, yi   Register
	by, byY, wide, wideY Register // one row, and three, apart
}

// transform reads the parameters of a transform of rows.
func (s isa) transform(name string) rows {
	TEXT(name+s.suffix, NOSPLIT, "func(n int, w, x, xi *float32, apart int, y, yi *float32, apartY int)")
	Doc(fmt.Sprintf("%s%s is the %s of vectors.", name, s.suffix, name))
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	r := rows{s: s, n: param("n"), w: param("w"), x: param("x"), xi: param("xi"), y: param("y"), yi: param("yi"),
		by: param("apart"), byY: param("apartY"), wide: GP64(), wideY: GP64()}
	LEAQ(Mem{Base: r.by, Index: r.by, Scale: 2}, r.wide)
	LEAQ(Mem{Base: r.byY, Index: r.byY, Scale: 2}, r.wideY)
	return r
}

// at is where row i of five lies.
func (r rows) at(base, by, wide Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: wide, Scale: 1}
	}
	return Mem{Base: base, Index: by, Scale: uint8(i)}
}

func (r rows) weight(i int) VecVirtual { return r.weightIn(r.s.reg(), i) }

// weightIn reads a weight into v.
func (r rows) weightIn(v VecVirtual, i int) VecVirtual {
	VBROADCASTSS(Mem{Base: r.w, Disp: 4 * i}, v)
	return v
}

func (r rows) read(l lane, base Register, i int) VecVirtual {
	v := r.s.reg()
	l.move(r.at(base, r.by, r.wide, i), v)
	return v
}

// turned stores row i times its weight.
func (r rows) turned(l lane, i int, re, im VecVirtual) {
	p := r.weight(2*i - 1)
	VMULPS(im, p, p)
	c := r.weight(2*i - 2)
	VMULPS(c, im, im)
	VFMSUB231PS(c, re, p)
	VFMADD231PS(r.weightIn(c, 2*i-1), re, im)
	l.moveTo(p, r.at(r.y, r.byY, r.wideY, i))
	l.moveTo(im, r.at(r.yi, r.byY, r.wideY, i))
}

// both gives a + b, and a - b in the place of a.
func (r rows) both(a, b VecVirtual) (sum, difference VecVirtual) {
	sum = r.s.reg()
	VADDPS(b, a, sum)
	VSUBPS(b, a, a)
	return sum, a
}

// pairs is a complex transform of two rows.
func (s isa) pairs() {
	r := s.transform("Pairs")
	s.strip(r.n, []Register{r.x, r.xi, r.y, r.yi}, func(l lane) {
		y0r, ur := r.both(r.read(l, r.x, 0), r.read(l, r.x, 1))
		y0i, ui := r.both(r.read(l, r.xi, 0), r.read(l, r.xi, 1))
		l.moveTo(y0r, Mem{Base: r.y})
		l.moveTo(y0i, Mem{Base: r.yi})
		r.turned(l, 1, ur, ui)
	})
	VZEROUPPER()
	RET()
}

// fifths is a complex transform of five rows.
func (s isa) fifths() {
	r := s.transform("Fifths")
	s.strip(r.n, []Register{r.x, r.xi, r.y, r.yi}, func(l lane) {
		t1r, t3r := r.both(r.read(l, r.x, 1), r.read(l, r.x, 4))
		t1i, t3i := r.both(r.read(l, r.xi, 1), r.read(l, r.xi, 4))
		t2r, t4r := r.both(r.read(l, r.x, 2), r.read(l, r.x, 3))
		t2i, t4i := r.both(r.read(l, r.xi, 2), r.read(l, r.xi, 3))
		first := func(a, b, c VecVirtual, y Register) {
			sum := s.reg()
			VADDPS(b, a, sum)
			VADDPS(c, sum, sum)
			l.moveTo(sum, Mem{Base: y})
		}
		first(r.read(l, r.x, 0), t1r, t2r, r.y)
		first(r.read(l, r.xi, 0), t1i, t2i, r.yi)
		// weights 8 and 9 are the cosines, 10 and 11 the sines of one and two fifths of a turn
		for k, f := range [2][4]int{{8, 9, 10, 11}, {9, 8, 11, 10}} {
			re, im, c := r.read(l, r.x, 0), r.read(l, r.xi, 0), r.weight(f[0])
			VFMADD231PS(c, t1r, re)
			VFMADD231PS(c, t1i, im)
			r.weightIn(c, f[1])
			VFMADD231PS(c, t2r, re)
			VFMADD231PS(c, t2i, im)
			sr, si := s.reg(), s.reg()
			r.weightIn(c, f[2])
			VMULPS(c, t3r, sr)
			VMULPS(c, t3i, si)
			r.weightIn(c, f[3])
			if k == 0 {
				VFMADD231PS(c, t4r, sr)
				VFMADD231PS(c, t4i, si)
			} else {
				VFNMADD231PS(c, t4r, sr)
				VFNMADD231PS(c, t4i, si)
			}
			ur, vr := r.both(re, si) // of row 1+k, and of row 4-k
			vi, ui := r.both(im, sr)
			r.turned(l, 1+k, ur, ui)
			r.turned(l, 4-k, vr, vi)
		}
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
