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

// wide keeps the lanes of a widened vector that the tail has.
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
	m := l.mask.(VecVirtual)
	half, low, high := XMM(), YMM(), YMM()
	VEXTRACTI128(Imm(1), m, half)
	VPMOVSXDQ(m.AsX(), low)
	VPMOVSXDQ(half, high)
	VPAND(low, x[0], low)
	VPAND(high, x[1], high)
	return [2]VecVirtual{low, high}
}

// double is a float64 parameter in every lane.
func (s isa) double(name string) VecVirtual {
	one, v := XMM(), s.reg()
	Load(Param(name), one)
	VBROADCASTSD(one, v)
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
	Store(s.fold(v), Return("sum"))
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
	Store(s.fold(v), Return("sum"))
	s.end()
}

func (s isa) squares() {
	p, n := s.begin("Squares", "func(x []float32) (sum float64)", "the sum of x²", "x")
	v := s.sums()
	s.blocks(n, func(l lane, at int) { s.accumulateSquares(v, at, l.doubled(p[0])) })
	Store(s.fold(v), Return("sum"))
	s.end()
}

func (s isa) moments() {
	p, n := s.begin("Moments", "func(x []float32, shift float64) (sum, squares float64)", "the sums of x - shift and of its squares", "x")
	v, w := s.sums(), s.sums()
	shift := s.double("shift")
	s.blocks(n, func(l lane, at int) {
		d := l.doubled(p[0])
		for i := range d {
			VSUBPD(shift, d[i], d[i])
		}
		d = l.wide(d)
		s.accumulate(v, at, d)
		s.accumulateSquares(w, at, d)
	})
	Store(s.fold(v), Return("sum"))
	Store(s.fold(w), Return("squares"))
	s.end()
}

// highest is the greatest of a row without NaN, never -0.
func (s isa) highest() {
	p, n := s.begin("Highest", "func(x []float32) (m float32)", "the Highest of x", "x")
	start := s.all(s.bits(0xff800000))
	var v [4]VecVirtual
	for i := range v {
		v[i] = s.copyOf(start)
	}
	s.each(n, len(v), func(ls []lane) {
		for i, l := range ls {
			x := l.load(p[0])
			if l.tail {
				x = s.only(l, x, start)
			}
			VMAXPS(x, v[i], v[i])
		}
	})
	VMAXPS(v[1], v[0], v[0])
	VMAXPS(v[3], v[2], v[2])
	VMAXPS(v[2], v[0], v[0])
	nan := s.reg()
	s.zero(nan)
	s.foldExtreme(VMAXPS, v[0], nan)
	s.end()
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
	Store(s.fold(v), Return("sum"))
	s.end()
}

// extremeOf is the greatest or least of a row: NaN if any is, never -0.
func (s isa) extremeOf(name string, f ops, first uint32) {
	p, n := s.begin(name, "func(x []float32) (m float32)", "the "+name+" of x", "x")
	start := s.all(s.bits(first))
	v := [2]VecVirtual{s.copyOf(start), s.copyOf(start)}
	nan := s.reg() // zero, or NaN
	s.zero(nan)
	s.each(n, 2, func(ls []lane) {
		for i, l := range ls {
			x := l.load(p[0])
			if l.tail { // nothing new beyond the end
				x = s.only(l, x, start)
			}
			s.plusNaN(nan, x)
			f(x, v[i], v[i])
		}
	})
	f(v[1], v[0], v[0])
	s.foldExtreme(f, v[0], nan)
	s.end()
}

// only is x where the tail has a lane, else no.
func (s isa) only(l lane, x, no VecVirtual) VecVirtual {
	v := s.reg()
	if s.bytes == 64 {
		VBLENDMPS(x, no, l.mask, v)
	} else {
		VBLENDVPS(l.mask, x, no, v)
	}
	return v
}

// plusNaN sets the lanes of nan to NaN where x is.
func (s isa) plusNaN(nan, x VecVirtual) {
	if s.bytes == 64 {
		k := K()
		VCMPPS(Imm(unordered), x, x, k)
		VADDPS(x, x, k, nan)
		return
	}
	m := s.reg()
	VCMPPS(Imm(unordered), x, x, m)
	VORPS(m, nan, nan)
}

// foldExtreme halves the vectors until one lane is left, and returns it.
func (s isa) foldExtreme(f ops, v, nan VecVirtual) {
	half, bad := YMM(), YMM()
	y, by := v.AsY(), nan.AsY()
	if s.bytes == 64 {
		VEXTRACTF64X4(Imm(1), v, half)
		f(half, y, y)
		VEXTRACTF64X4(Imm(1), nan, bad)
		VORPS(bad, by, by)
	}
	q, bq := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, q)
	VEXTRACTF128(Imm(1), by, bq)
	x, bx := v.AsX(), nan.AsX()
	f(q, x, x)
	VORPS(bq, bx, bx)
	for _, order := range []uint64{0x4e, 0xb1} {
		VPERMILPS(Imm(order), x, q)
		VPERMILPS(Imm(order), bx, bq)
		f(q, x, x)
		VORPS(bq, bx, bx)
	}
	VADDSS(bx, x, x) // zero, or NaN; and -0 becomes 0
	Store(x, Return("m"))
}

// columns calls body for the vectors of float64 of n elements.
func (s isa) columns(n Register, body func(l lane)) {
	d := s
	if s.bytes == 64 {
		d.reg = YMM // eight floats become one vector
	} else {
		d.reg = XMM
	}
	width := s.bytes / 8
	index := GP64()
	XORQ(index, index)
	SUBQ(imm(width), n)
	JL(LabelRef("rest"))
	Label("loop")
	body(lane{s: d, index: index})
	ADDQ(imm(width), index)
	SUBQ(imm(width), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(imm(width), n)
	JE(LabelRef("done"))
	Label("one")
	body(lane{s: d, index: index, tail: true})
	INCQ(index)
	DECQ(n)
	JNE(LabelRef("one"))
	Label("done")
}

// doubles loads a vector of float64, one element in the tail.
func (l lane) doubles(s isa, base Register) VecVirtual {
	if l.tail {
		v := XMM()
		VMOVSD(l.at(base, 8), v)
		return v
	}
	v := s.reg()
	VMOVUPD(l.at(base, 8), v)
	return v
}

func (l lane) storeDoubles(v VecVirtual, base Register) {
	if l.tail {
		VMOVSD(v, l.at(base, 8))
		return
	}
	VMOVUPD(v, l.at(base, 8))
}

// widened loads floats as a vector of float64.
func (l lane) widened(s isa, base Register) VecVirtual {
	if l.tail {
		v := XMM()
		VXORPS(v, v, v)
		VCVTSS2SD(l.at(base, 4), v, v)
		return v
	}
	v := s.reg()
	VCVTPS2PD(l.at(base, 4), v)
	return v
}

func (s isa) sumInto() {
	p, n := s.begin("SumInto", "func(acc []float64, x []float32)", "acc[i] += x[i]", "acc", "x")
	s.columns(n, func(l lane) {
		v := l.widened(s, p[1])
		VADDPD(l.doubles(s, p[0]), v, v)
		l.storeDoubles(v, p[0])
	})
	s.end()
}

func (s isa) squaresInto() {
	p, n := s.begin("SquaresInto", "func(acc, mean []float64, x []float32)", "acc[i] += (x[i] - mean[i])²", "acc", "mean", "x")
	s.columns(n, func(l lane) {
		v := l.widened(s, p[2])
		VSUBPD(l.doubles(s, p[1]), v, v)
		VMULPD(v, v, v)
		VADDPD(l.doubles(s, p[0]), v, v)
		l.storeDoubles(v, p[0])
	})
	s.end()
}
