package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Reductions of a row. Sums are taken in 16 lanes of float64 and folded as
// asm.Vector says, whatever the width of a vector.

// sums are the 16 lanes: as many registers as it takes.
type sums []VecVirtual

func (s isa) sums() sums {
	v := make(sums, 16*8/s.bytes)
	for i := range v {
		v[i] = s.reg()
		s.zero(v[i])
	}
	return v
}

// widen makes float64 of a vector: the lower half and the upper half.
func (s isa) widen(x VecVirtual) [2]VecVirtual {
	low, high := s.reg(), s.reg()
	if s.bytes == 64 {
		half := YMM()
		VEXTRACTF64X4(Imm(1), x, half)
		VCVTPS2PD(x.AsY(), low)
		VCVTPS2PD(half, high)
		return [2]VecVirtual{low, high}
	}
	half := XMM()
	VEXTRACTF128(Imm(1), x, half)
	VCVTPS2PD(x.AsX(), low)
	VCVTPS2PD(half, high)
	return [2]VecVirtual{low, high}
}

// accumulate adds a vector to the lanes from the given one on.
func (s isa) accumulate(v sums, lane int, x [2]VecVirtual) {
	at := lane / (s.bytes / 8)
	VADDPD(x[0], v[at], v[at])
	VADDPD(x[1], v[at+1], v[at+1])
}

// fold adds up the lanes: i and i+8, i and i+4, then ((0+1) + (2+3)).
func (s isa) fold(v sums) VecVirtual {
	four, high := YMM(), YMM()
	if s.bytes == 64 {
		eight := s.reg()
		VADDPD(v[1], v[0], eight)
		VEXTRACTF64X4(Imm(1), eight, high)
		VADDPD(high, eight.AsY(), four)
	} else {
		VADDPD(v[2], v[0], four)
		VADDPD(v[3], v[1], high)
		VADDPD(high, four, four)
	}
	two, one := XMM(), XMM()
	VEXTRACTF128(Imm(1), four, two)
	VHADDPD(four.AsX(), four.AsX(), one)
	VHADDPD(two, two, two)
	VADDSD(two, one, one)
	return one
}

// blocks calls body for every 16 elements, which may take several vectors, and
// for what is left over.
func (s isa) blocks(n Register, body func(l lane, at int)) {
	index := GP64()
	XORQ(index, index)
	s.blocksFrom(index, n, body)
}

// blocksFrom does so for the n elements from index on.
func (s isa) blocksFrom(index, n Register, body func(l lane, at int)) {
	count := 16 / s.lanes()
	SUBQ(Imm(16), n)
	JL(LabelRef("rest"))
	Label("block")
	for u := range count {
		body(lane{s: s, index: index, disp: u * s.lanes()}, u*s.lanes())
	}
	ADDQ(Imm(16), index)
	SUBQ(Imm(16), n)
	JGE(LabelRef("block"))
	Label("rest")
	ADDQ(Imm(16), n)
	for u := range count {
		TESTQ(n, n)
		JLE(LabelRef("done"))
		if u < count-1 { // a tail of a whole vector and more
			m := s.maskOf(n)
			body(lane{s: s, index: index, disp: u * s.lanes(), tail: true, mask: m}, u*s.lanes())
			SUBQ(imm(s.lanes()), n)
			continue
		}
		body(lane{s: s, index: index, disp: u * s.lanes(), tail: true, mask: s.maskOf(n)}, u*s.lanes())
	}
	Label("done")
}

// wide keeps the lanes of a widened vector that the tail has, and may change it.
func (l lane) wide(x [2]VecVirtual) [2]VecVirtual {
	if !l.tail {
		return x
	}
	if l.s.bytes == 64 {
		m := GP32()
		k := K()
		KMOVW(l.mask, m)
		SHRL(Imm(8), m)
		KMOVW(m, k)
		out := [2]VecVirtual{l.s.reg(), l.s.reg()}
		VMOVAPD_Z(x[0], l.mask, out[0])
		VMOVAPD_Z(x[1], k, out[1])
		return out
	}
	m, t := l.mask.(VecVirtual), YMM()
	VPMOVSXDQ(m.AsX(), t)
	VPAND(t, x[0], x[0])
	VEXTRACTI128(Imm(1), m, t.AsX())
	VPMOVSXDQ(t.AsX(), t)
	VPAND(t, x[1], x[1])
	return x
}

// double is a float64 parameter in every lane.
func (s isa) double(name string) VecVirtual {
	v := s.reg()
	VBROADCASTSD(where(Param(name)), v)
	return v
}

// doubled loads floats as float64; in the tail, zeros beyond the end.
func (l lane) doubled(base Register) [2]VecVirtual {
	if l.tail {
		return l.s.widen(l.load(base))
	}
	low, high := l.s.reg(), l.s.reg()
	VCVTPS2PD(l.at(base, 4), low)
	VCVTPS2PD(l.at(base, 4).Offset(l.s.bytes/2), high)
	return [2]VecVirtual{low, high}
}

// accumulateSquares adds the squares of a vector to the lanes, rounded once.
func (s isa) accumulateSquares(v sums, lane int, x [2]VecVirtual) {
	at := lane / (s.bytes / 8)
	VFMADD231PD(x[0], x[0], v[at])
	VFMADD231PD(x[1], x[1], v[at+1])
}

func (s isa) reductions() {
	s.sum()
	s.sumSquares()
	s.squares()
	s.moments()
	s.highest()
	s.sumExp()
	s.extremeOf("Greatest", VMAXPS, 0xff800000)
	s.extremeOf("Least", VMINPS, 0x7f800000)
	s.sumInto()
	s.squaresInto()
}

func (s isa) sum() {
	p, n := s.begin("Sum", "func(x []float32) (sum float64)", "the sum of x", "x")
	v := s.sums()
	s.blocks(n, func(l lane, at int) { s.accumulate(v, at, l.doubled(p[0])) })
	give(s.fold(v), "sum")
	s.end()
}

func (s isa) sumSquares() {
	p, n := s.begin("SumSquares", "func(x []float32, mean float64) (sum float64)", "the sum of (x - mean)²", "x")
	v := s.sums()
	mean := s.double("mean")
	s.blocks(n, func(l lane, at int) {
		d := l.doubled(p[0])
		for i := range d {
			VSUBPD(mean, d[i], d[i])
			VMULPD(d[i], d[i], d[i])
		}
		s.accumulate(v, at, l.wide(d))
	})
	give(s.fold(v), "sum")
	s.end()
}

func (s isa) squares() {
	p, n := s.begin("Squares", "func(x []float32) (sum float64)", "the sum of x²", "x")
	v := s.sums()
	s.blocks(n, func(l lane, at int) { s.accumulateSquares(v, at, l.doubled(p[0])) })
	give(s.fold(v), "sum")
	s.end()
}

func (s isa) moments() {
	p, n := s.begin("Moments", "func(x []float32, shift float64) (sum, squares float64)", "the sums of x - shift and of its squares", "x")
	v, w := s.sums(), s.sums()
	shift := s.double("shift")
	s.blocks(n, func(l lane, at int) { s.moment(v, w, shift, l, at, p[0]) })
	give(s.fold(v), "sum")
	give(s.fold(w), "squares")
	s.end()
}

// moment adds x - shift and its squares, of one vector, to v and w.
func (s isa) moment(v, w sums, shift VecVirtual, l lane, at int, x Register) {
	d := l.doubled(x)
	for i := range d {
		VSUBPD(shift, d[i], d[i])
	}
	d = l.wide(d)
	s.accumulate(v, at, d)
	s.accumulateSquares(w, at, d)
}

// sumExp adds up four blocks of 16 before it widens them. Past the caches it
// also writes the row before, and asks for the next one.
func (s isa) sumExp() {
	signature, doc, rows := "func(y, x []float32, shift float32) (sum float64)", "the SumExp of x", []string{"y", "x"}
	if s.stream {
		signature = "func(y, x []float32, shift float32, out, kept []float32, scale float32, next []float32) (sum float64)"
		doc += ", which writes out[i] = kept[i] * scale"
		rows = append(rows, "out", "kept", "next")
	}
	p, n := s.begin("SumExp", signature, doc, rows...)
	v := s.sums()
	shift := s.number("shift")
	var scale VecVirtual
	if s.stream {
		scale = s.number("scale")
	}
	one := func(l lane) VecVirtual {
		e := s.expDown(s.sub(l.load(p[1]), shift))
		if s.stream {
			l.store(s.mul(l.load(p[3]), scale), p[2])
			PREFETCHT1(l.at(p[4], 4))
			l.s.stream = false
		}
		l.store(e, p[0])
		return e
	}
	index := GP64()
	XORQ(index, index)
	SUBQ(Imm(64), n)
	JL(LabelRef("few"))
	Label("many")
	for at := 0; at < 16; at += s.lanes() {
		var e [4]VecVirtual
		for i := range e {
			e[i] = one(lane{s: s, index: index, disp: at + 16*i})
		}
		s.accumulate(v, at, s.widen(s.add(s.add(e[0], e[1]), s.add(e[2], e[3]))))
	}
	ADDQ(Imm(64), index)
	SUBQ(Imm(64), n)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(Imm(64), n)
	s.blocksFrom(index, n, func(l lane, at int) { s.accumulate(v, at, l.wide(s.widen(one(l)))) })
	give(s.fold(v), "sum")
	s.end()
}
