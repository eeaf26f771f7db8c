package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowTimesRows is one row of activations times a panel of rows.
func (s isa) rowTimesRows(c rowCoding) {
	name := "RowTimesRows" + c.name + s.suffix
	TEXT(name, NOSPLIT, "func(n int, x, w *byte, stride, ahead int, y *float32)")
	Doc(fmt.Sprintf("%s is the RowTimesRows of that coding.", name))
	Pragma("noescape")
	w, stride, x, ahead := Load(Param("w"), GP64()), Load(Param("stride"), GP64()), GP64(), GP64()
	var sums rowSums
	var at Register
	s.eachRows(c, w, stride, func(offset Register, r *fileRows) {
		sums = rowSums{fileRows: r, x: x, ahead: ahead, acc: s.reg()}
		s.zero(sums.acc)
		if s.bytes == 64 {
			sums.none = s.copyOf(sums.acc)
		}
		if s.bytes == 64 {
			r.hold(c.bitMasks()...)
		} else {
			MOVQ(w, ahead) // the rows that follow
			r.hold(0x00010001)
			if c.width != 5 { // there are few registers
				r.hold(0x0f0f0f0f)
			}
		}
		Load(Param("x"), x)
		at = offset
	}, func(left Register) {
		sums.begin()
		if s.bytes == 64 {
			sums.beginAsking(left)
			sums.fours()
		} else {
			sums.super()
			ADDQ(imm(s.lanes()*c.size), ahead)
		}
		ADDQ(imm(c.per*blockX), x)
	}, func() {
		y := Load(Param("y"), GP64())
		VMOVUPS(sums.acc, Mem{Base: y, Index: at, Scale: 1})
	})
}

// rowSums adds up the products of one row of activations with rows. What belongs to
// a row lies side by side until it was multiplied: fewer numbers then change places.
type rowSums struct {
	*fileRows
	x, ahead Register
	acc      VecVirtual
	none     VecVirtual // zeros, of AVX-512
	asked    int        // times that ask was called for a super-block
}

// ask asks for a share of as much as a super-block of all rows takes: ahead in each row or, of AVX2, where what follows
// the rows lies. A few lines at a time, since processors wait for few.
func (a *rowSums) ask() {
	each, times := (a.size+63)/64, a.times()
	lines := a.lanes() * each
	if a.bytes == 32 {
		lines = (a.lanes()*a.size + 63) / 64
	}
	for l := a.asked * lines / times; l < (a.asked+1)*lines/times; l++ {
		if a.bytes == 32 {
			PREFETCHT1(Mem{Base: a.ahead, Disp: 64 * l})
			continue
		}
		PREFETCHT1(Mem{Base: a.ahead, Disp: l % each * 64})
		if l%each == each-1 {
			ADDQ(a.stride, a.ahead)
		}
	}
	a.asked++
}

// beginAsking goes to where the first row asks. Of small blocks a line of every row is asked for at once, for as many of them
// as about fill one.
func (a *rowSums) beginAsking(left Register) {
	if a.per == 1 {
		TESTQ(U32(map[bool]uint32{true: 1, false: 3}[a.size > 32]), left)
		JNE(LabelRef("asked"))
	}
	Load(Param("ahead"), a.ahead)
	ADDQ(a.at[0], a.ahead)
	if a.per == 1 {
		for i := range a.lanes() {
			PREFETCHT1(Mem{Base: a.ahead})
			if i < a.lanes()-1 {
				ADDQ(a.stride, a.ahead)
			}
		}
		Label("asked")
	}
}

// times is how often ask is called for a super-block.
func (a *rowSums) times() int {
	if a.scales == halves {
		return 32
	}
	return map[int]int{1: 4, 8: 16}[a.per]
}

// place is half h of block b.
type place struct{ b, h int }

// rowProduct is codes of 16 inputs of two rows, as pair has them, for place number
// to, times those activations.
type rowProduct struct {
	to    int
	codes VecVirtual
	x     VecVirtual
}

func (a *rowSums) activations(b, disp int) Mem { return Mem{Base: a.x, Disp: b*blockX + disp} }

// inputs gives activations 16p to 16p+15 of block b twice.
func (a *rowSums) inputs(b, p int) VecVirtual {
	v := a.reg()
	VBROADCASTI128(a.activations(b, 16+16*p), v)
	return v
}

// super adds a super-block.
func (a *rowSums) super() {
	const low = 0x0f0f0f0f
	switch a.rowCoding.name {
	case "Q8_0":
		x := [2]VecVirtual{a.inputs(0, 0), a.inputs(0, 1)}
		a.add(place{}, a.sums(1, func(i int, f func(rowProduct)) {
			f(rowProduct{0, a.pair(i, 2), x[0]})
			f(rowProduct{0, a.pair(i, 18), x[1]})
		})[0])
	case "Q4_0", "Q4_1":
		x := [2]VecVirtual{a.inputs(0, 0), a.inputs(0, 1)}
		a.add(place{}, a.sums(1, func(i int, f func(rowProduct)) {
			v := a.pair(i, a.size-16)
			f(rowProduct{0, a.bitsOf(v, 0, low), x[0]})
			f(rowProduct{0, a.bitsOf(v, 4, low), x[1]})
		})[0])
	case "Q4K", "Q5K":
		for b := 0; b < 8; b += 2 {
			x := [2][2]VecVirtual{{a.inputs(b, 0), a.inputs(b+1, 0)}, {a.inputs(b, 1), a.inputs(b+1, 1)}}
			sums := a.sums(2, func(i int, f func(rowProduct)) {
				for p := range 2 {
					v, fifth := a.pair(i, a.size-128+16*b+16*p), VecVirtual(nil)
					if a.width == 5 {
						fifth = a.pair(i, 16+16*p)
					}
					for side := range 2 {
						code := a.bitsOf(v, 4*side, low)
						if a.width == 5 {
							a.with(code, fifth, b+side-4, 0x10101010)
						}
						f(rowProduct{side, code, x[p][side]})
					}
				}
			})
			a.add(place{b: b}, sums[0])
			a.add(place{b: b + 1}, sums[1])
		}
	case "Q6K":
		a.sixes(0)
		a.sixes(4)
	}
}

// sixes adds four blocks of q6_k: see codesOfSixes.
func (a *rowSums) sixes(first int) {
	for h := range 2 {
		for side := range 2 {
			x := [2]VecVirtual{a.inputs(first+side, h), a.inputs(first+side+2, h)}
			sums := a.sums(2, func(i int, f func(rowProduct)) {
				v, upper := a.pair(i, 16*first+32*side+16*h), a.pair(i, 128+8*first+16*h)
				for n := range 2 {
					code := a.bitsOf(v, 4*n, 0x0f0f0f0f)
					a.with(code, upper, 2*(2*n+side)-4, 0x30303030)
					f(rowProduct{n, code, x[n]})
				}
			})
			for n, v := range sums {
				a.keep(roomMore+2*(2*n+side)+h, v)
			}
		}
	}
	for b := range 4 {
		for h := range 2 {
			a.add(place{first + b, h}, a.kept(roomMore+2*b+h))
		}
	}
}

// sums gives, for so many places, the sums of the products of rows i and i+4.
func (a *rowSums) sums(places int, products func(i int, f func(rowProduct))) []VecVirtual {
	var halves [2][]VecVirtual // of rows 0, 1, 4 and 5, and the others
	for two := range halves {
		rows := [2][]VecVirtual{make([]VecVirtual, places), make([]VecVirtual, places)}
		for i := range rows {
			a.ask()
			products(2*two+i, func(p rowProduct) {
				v := a.multiplied(p)
				if sum := rows[i][p.to]; sum == nil {
					rows[i][p.to] = v
				} else {
					a.plusWhole(v, sum, a.exact() > 1)
				}
			})
		}
		for n := range places {
			v := a.folded(VPUNPCKLDQ, VPUNPCKHDQ, rows[0][n], rows[1][n], a.exact() > 1)
			if a.exact() > 1 && a.exact() < 8 {
				VPMADDWD(a.masks[0x00010001], v, v)
			}
			halves[two] = append(halves[two], v)
		}
	}
	for n, v := range halves[0] {
		v = a.folded(VPUNPCKLQDQ, VPUNPCKHQDQ, v, halves[1][n], a.exact() == 8)
		if a.exact() == 8 {
			VPMADDWD(a.masks[0x00010001], v, v)
		}
		halves[0][n] = v
	}
	return halves[0]
}

// multiplied gives sums of two products in i16, or, if more would not fit, of
// four in i32.
func (a *rowSums) multiplied(p rowProduct) VecVirtual {
	if !a.kind.signed {
		VPMADDUBSW(p.x, p.codes, p.codes)
		return p.codes
	}
	t := a.reg()
	VPSIGNB(p.codes, p.x, t)
	VPABSB(p.codes, p.codes)
	VPMADDUBSW(t, p.codes, t)
	VPMADDWD(a.masks[0x00010001], t, t)
	return t
}

// plusWhole adds v to sum, in i16 or i32.
func (a *rowSums) plusWhole(v, sum VecVirtual, short bool) {
	if short {
		VPADDW(v, sum, sum)
	} else {
		VPADDD(v, sum, sum)
	}
}

// folded adds what low and high give of two vectors.
func (a *rowSums) folded(low, high func(...Op), v, w VecVirtual, short bool) VecVirtual {
	l, h := a.reg(), a.reg()
	low(w, v, l)
	high(w, v, h)
	a.plusWhole(h, l, short)
	return l
}

// add adds the sums of a place, times their scales, and what code 0 stands for.
func (a *rowSums) add(at place, sum VecVirtual) {
	t := a.reg()
	if a.bytes == 32 && !a.kind.least && !a.kind.signed {
		VPBROADCASTD(a.activations(at.b, 4+4*at.h), t)
		VPADDD(t, sum, sum)
	}
	scale, low := a.scale(at.b, at.h)
	VBROADCASTSS(a.activations(at.b, 0), t)
	VMULPS(t, scale, scale)
	VCVTDQ2PS(sum, sum)
	VFMADD231PS(scale, sum, a.acc)
	if low != nil {
		VBROADCASTSS(a.activations(at.b, 4+4*at.h), t)
		VFMADD231PS(t, low, a.acc)
	}
}
