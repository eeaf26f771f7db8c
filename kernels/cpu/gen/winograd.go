package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The points of Winograd's transforms, and what stands in their matrices: asm/winograd.go has the same.
const (
	winogradA, winogradB = 0.625, 1.5
	squareA, squareB     = winogradA * winogradA, winogradB * winogradB
	cubeA, cubeB         = winogradA * squareA, winogradB * squareB
	squares, product     = squareA + squareB, squareA * squareB

	kernel0  = 1 / product
	kernelA  = 1 / (2 * squareA * (squareA - squareB))
	kernelB  = 1 / (2 * squareB * (squareB - squareA))
	kernelA1 = winogradA * kernelA
	kernelB1 = winogradB * kernelB
	kernelA2 = squareA * kernelA
	kernelB2 = squareB * kernelB
)

// winograd writes the transforms of Winograd's convolutions.
func (s isa) winograd() {
	s.kernels()
	s.inPlace("TilePatches", 6, s.patchAxis)
	s.inPlace("TileSums", 4, s.positionAxis)
}

// square is a transform that is being written.
type square struct {
	s                 isa
	n, x, ldx, y, ldy Register
}

func (s isa) square(name string) square {
	TEXT(name+s.suffix, NOSPLIT, "func(n int, x *float32, ldx int, y *float32, ldy int)")
	Doc(name + s.suffix + " is the " + name + " of vectors.")
	Pragma("noescape")
	param := func(name string) Register { return Load(Param(name), GP64()) }
	q := square{s: s, n: param("n"), x: param("x"), ldx: param("ldx"), y: param("y"), ldy: param("ldy")}
	SHLQ(Imm(2), q.ldx)
	SHLQ(Imm(2), q.ldy)
	return q
}

// walk returns where rows lie, one after another from a base on.
type walk struct{ at, by Register }

func walkFrom(base, by Register) walk {
	w := walk{GP64(), by}
	MOVQ(base, w.at)
	return w
}

// next is the place of a row, after which w stands at the one behind it.
func (w walk) next(f func(m Mem)) {
	f(Mem{Base: w.at})
	ADDQ(w.by, w.at)
}

// even and odd give the values at p and -p of a polynomial: e + o p, e - o p.
func (s isa) bothSides(e, o VecVirtual, p float32) (plus, minus VecVirtual) {
	minus = s.copyOf(e)
	s.plus(e, o, s.c(p))
	s.plus(minus, o, s.c(-p))
	return e, minus
}

// kernelAxis gives the six values of three weights to f.
func (s isa) kernelAxis(w0, w1, w2 VecVirtual, f func(i int, v VecVirtual)) {
	f(0, s.mul(w0, s.c(kernel0)))
	for i, c := range [][3]float32{{kernelA, kernelA1, kernelA2}, {kernelB, kernelB1, kernelB2}} {
		e := s.mul(w0, s.c(c[0]))
		s.plus(e, w2, s.c(c[2]))
		p, m := s.bothSides(e, w1, c[1])
		f(1+2*i, p)
		f(2+2*i, m)
	}
	f(5, w2)
}

// kernels transforms 3 x 3 weights to 6 x 6. Weights are read again for each pair of rows, since registers are few.
func (s isa) kernels() {
	q := s.square("TileWeights")
	row, twice := GP64(), GP64()
	LEAQ(Mem{Base: q.ldx, Index: q.ldx, Scale: 2}, row) // from element (i, j) to (i+1, j)
	LEAQ(Mem{Base: row, Index: row, Scale: 1}, twice)
	s.strip(q.n, []Register{q.x, q.y}, func(l lane) {
		column := GP64()
		read := func(i, j int) VecVirtual {
			v := s.reg()
			MOVQ(q.x, column)
			for range j {
				ADDQ(q.ldx, column)
			}
			m := Mem{Base: column}
			switch i {
			case 1:
				m.Index, m.Scale = row, 1
			case 2:
				m.Index, m.Scale = twice, 1
			}
			l.move(m, v)
			return v
		}
		out := walkFrom(q.y, q.ldy)
		give := func(t [3]VecVirtual) {
			s.kernelAxis(t[0], t[1], t[2], func(_ int, v VecVirtual) { out.next(func(m Mem) { l.moveTo(v, m) }) })
		}
		var t [3]VecVirtual
		for j := range t {
			t[j] = s.mul(read(0, j), s.c(kernel0))
		}
		give(t)
		for _, c := range [][3]float32{{kernelA, kernelA1, kernelA2}, {kernelB, kernelB1, kernelB2}} {
			var p, m [3]VecVirtual
			for j := range p {
				e := s.mul(read(0, j), s.c(c[0]))
				s.plus(e, read(2, j), s.c(c[2]))
				p[j], m[j] = s.bothSides(e, read(1, j), c[1])
			}
			give(p)
			give(m)
		}
		for j := range t {
			t[j] = read(2, j)
		}
		give(t)
	})
	VZEROUPPER()
	RET()
}

// inPlace is a transform of 6 x 6 elements to rows x rows: the first axis in place, the second to y.
func (s isa) inPlace(name string, rows int, axis func(x [6]VecVirtual) []VecVirtual) {
	q := s.square(name)
	six := GP64() // from element (i, j) to (i+1, j)
	LEAQ(Mem{Base: q.ldx, Index: q.ldx, Scale: 2}, six)
	SHLQ(Imm(1), six)
	s.strip(q.n, []Register{q.x, q.y}, func(l lane) {
		read := func(w walk) (x [6]VecVirtual) {
			for i := range x {
				x[i] = s.reg()
				w.next(func(m Mem) { l.move(m, x[i]) })
			}
			return x
		}
		column := GP64()
		MOVQ(q.x, column)
		for j := range 6 {
			back := walkFrom(column, six)
			for _, v := range axis(read(walkFrom(column, six))) {
				back.next(func(m Mem) { l.moveTo(v, m) })
			}
			if j < 5 {
				ADDQ(q.ldx, column)
			}
		}
		from, out := walkFrom(q.x, q.ldx), walkFrom(q.y, q.ldy)
		for range rows {
			for _, v := range axis(read(from)) {
				out.next(func(m Mem) { l.moveTo(v, m) })
			}
		}
	})
	VZEROUPPER()
	RET()
}

func (s isa) patchAxis(d [6]VecVirtual) []VecVirtual {
	end := func(a, b, c VecVirtual) VecVirtual { // product a - squares b + c
		v := s.copyOf(c)
		s.plus(v, b, s.c(-squares))
		s.plus(v, a, s.c(product))
		return v
	}
	pair := func(square, p float32) (plus, minus VecVirtual) {
		e, o := s.copyOf(d[4]), s.copyOf(d[3])
		s.plus(e, d[2], s.c(-square))
		s.plus(o, d[1], s.c(-square))
		return s.bothSides(e, o, p)
	}
	y0 := end(d[0], d[2], d[4])
	y1, y2 := pair(squareB, winogradA)
	y3, y4 := pair(squareA, winogradB)
	return []VecVirtual{y0, y1, y2, y3, y4, end(d[1], d[3], d[5])}
}

func (s isa) positionAxis(m [6]VecVirtual) []VecVirtual {
	sa, da, sb, db := s.add(m[1], m[2]), s.sub(m[1], m[2]), s.add(m[3], m[4]), s.sub(m[3], m[4])
	y0 := s.add(s.add(m[0], sa), sb)
	y1 := s.mul(db, s.c(winogradB))
	s.plus(y1, da, s.c(winogradA))
	y2 := s.mul(sb, s.c(squareB))
	s.plus(y2, sa, s.c(squareA))
	s.plus(m[5], db, s.c(cubeB))
	s.plus(m[5], da, s.c(cubeA))
	return []VecVirtual{y0, y1, y2, m[5]}
}
