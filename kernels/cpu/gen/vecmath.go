package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The formulas of functions of one float. asm/math.go holds the same in Go,
// operation for operation, with their errors; see there for what they equal.

// expParts is x = n ln(2) + r: it gives t = roundMagic + n and n, and changes x
// to r.
func (s isa) expParts(x VecVirtual) (t, n, r VecVirtual) {
	t = s.all(s.named("roundMagic"))
	s.plus(t, x, s.named("log2e"))
	n = s.sub(t, s.named("roundMagic"))
	s.minus(x, n, s.named("ln2High"))
	s.minus(x, n, s.named("ln2Low"))
	return t, n, x
}

// negativeParts are the expParts of -x.
func (s isa) negativeParts(x VecVirtual) (t, n, r VecVirtual) {
	t = s.all(s.named("roundMagic"))
	s.minus(t, x, s.named("log2e"))
	n = s.sub(t, s.named("roundMagic"))
	s.emit(VFNMSUB231PS, VFNMSUB231PS_BCST, s.named("ln2High"), n, x)
	s.minus(x, n, s.named("ln2Low"))
	return t, n, x
}

// expOfParts is eˣ of the parts of x.
func (s isa) expOfParts(t, n, r VecVirtual) VecVirtual {
	p := s.horner(expSeries, r)
	s.then(p, r, s.c(1))
	s.then(p, r, s.c(1))
	if s.bytes == 64 {
		v := s.reg()
		VSCALEFPS(n, p, v)
		return v
	}
	// 2 to the power n in two steps, of which only the second rounds.
	i := s.subInt(t, s.named("roundMagic"))
	h := s.shift(VPSRAD, 1, i)
	i = s.subInt(i, h)
	return s.mul(s.mul(p, s.power(h)), s.power(i))
}

// expDown is eˣ for x that is not too high.
func (s isa) expDown(x VecVirtual) VecVirtual {
	return s.expOfParts(s.expParts(s.greater(s.named("expLow"), x)))
}

// power is 2 to the power n, for whole n.
func (s isa) power(n VecVirtual) VecVirtual {
	return s.shift(VPSLLD, 23, s.addInt(n, s.bits(127)))
}

// expm1 is eˣ - 1 for -25 < x < 88; it changes x.
func (s isa) expm1(x VecVirtual) VecVirtual {
	t, _, r := s.expParts(x)
	p := s.horner(expSeries, r)
	q := s.copyOf(r)
	s.plus(q, p, s.mul(r, r))
	two := s.power(s.subInt(t, s.named("roundMagic")))
	v := s.sub(two, s.c(1))
	s.plus(v, q, two)
	return v
}

func expOf(s isa, x VecVirtual) VecVirtual {
	return s.expDown(s.lesser(s.named("expHigh"), x))
}

// gate is sigmoid(x) as numerator and denominator.
func (s isa) gate(x VecVirtual) (over, under VecVirtual) {
	e := s.expDown(s.or(x, s.bits(0x80000000)))
	return s.pick(less, x, s.c(0), e, s.all(s.c(1))), s.add(e, s.c(1))
}

func sigmoidOf(s isa, x VecVirtual) VecVirtual {
	over, under := s.gate(x)
	return s.div(over, under)
}

// times is x sigmoid(z) = x / (1 + e to the power -z), for z that is not too low.
func (s isa) times(x, z VecVirtual) VecVirtual {
	e := s.expOfParts(s.negativeParts(s.lesser(s.named("gateHigh"), z)))
	return s.div(x, s.add(e, s.c(1)))
}

// siluOf is -0 for x so low that the exponential is infinite; so are the other
// gated functions.
func siluOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	return s.times(x, x)
}

func quickGeluOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	return s.times(x, s.greater(s.named("expLow"), s.mul(x, s.named("quickSlope"))))
}

func geluTanhOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	k := s.mul(x, x)
	a := s.all(s.named("geluSlope"))
	s.plus(a, k, s.named("geluCube"))
	return s.times(x, s.greater(s.named("expLow"), s.mul(a, x)))
}

// gelu is max(x, 0) - a P(X > a) for a = |x|, with a polynomial for each piece
// of a: tables holds their coefficients. Several vectors go step by step
// together, since one alone waits for itself.
func (s isa) gelu(tables []Op, x []VecVirtual) []VecVirtual {
	together := func(f func(i int) VecVirtual) []VecVirtual {
		out := make([]VecVirtual, len(x))
		for i := range x {
			out[i] = f(i)
		}
		return out
	}
	a := together(func(i int) VecVirtual { return s.lesser(s.named("tailHigh"), s.abs(x[i])) })
	t := together(func(i int) VecVirtual {
		t := s.all(s.named("roundMagic"))
		s.plus(t, a[i], s.named("tailPerUnit"))
		return t
	})
	r := together(func(i int) VecVirtual {
		r := s.copyOf(a[i])
		s.minus(r, s.sub(t[i], s.named("roundMagic")), s.named("tailWidth"))
		return r
	})
	lookup := make([]func(table Op) VecVirtual, len(x))
	for i := range x {
		lookup[i] = s.lookup(t[i])
	}
	pair := func(k int) []VecVirtual {
		return together(func(i int) VecVirtual {
			p := lookup[i](tables[k+1])
			s.then(p, r[i], lookup[i](tables[k]))
			return p
		})
	}
	q := pair(6)
	square := together(func(i int) VecVirtual { return s.mul(r[i], r[i]) })
	for _, k := range []int{4, 2} {
		for i, p := range pair(k) {
			s.then(q[i], square[i], p)
		}
	}
	for _, k := range []int{1, 0} {
		for i := range x {
			s.then(q[i], r[i], lookup[i](tables[k]))
		}
	}
	return together(func(i int) VecVirtual {
		v := s.greater(s.c(0), x[i])
		if s.bytes == 64 {
			k := K()
			s.compare(notAtLeast, a[i], s.named("tailHigh"), k)
			VFNMADD231PS(a[i], q[i], k, v)
			return v
		}
		zero := s.reg()
		s.zero(zero)
		s.minus(v, s.pick(atLeast, a[i], s.named("tailHigh"), zero, q[i]), a[i]) // NaN stays
		return v
	})
}

// lookup returns a function that finds element n, for the whole number n in
// the low bits of every lane, in a table of 16.
func (s isa) lookup(n VecVirtual) func(table Op) VecVirtual {
	if s.bytes == 64 {
		return func(table Op) VecVirtual {
			v := s.reg()
			VPERMPS(table, n, v)
			return v
		}
	}
	upper := s.shift(VPSLLD, 28, n) // bit 3 is the sign
	return func(table Op) VecVirtual {
		low, high := s.reg(), s.reg()
		VPERMPS(table, n, low)
		VPERMPS(table.(Mem).Offset(s.bytes), n, high)
		VBLENDVPS(upper, high, low, low)
		return low
	}
}

func tanhOf(s isa, x VecVirtual) VecVirtual {
	a := s.lesser(s.named("tanhHigh"), s.abs(x))
	m := s.expm1(s.add(a, a))
	return s.withSign(s.div(m, s.add(m, s.c(2))), x)
}

func expm1Of(s isa, x VecVirtual) VecVirtual {
	return s.expm1(s.greater(s.named("expm1Low"), s.lesser(s.c(0), x)))
}

// log1p is k ln(2) + ln(1 + f) for -1/4 <= f <= 1/2.
func (s isa) log1p(f, k VecVirtual) VecVirtual {
	square := s.mul(f, f)
	y := s.mul(s.mul(s.horner(logSeries, f), f), square)
	s.plus(y, k, s.named("ln2Low"))
	s.plus(y, square, s.c(-0.5))
	y = s.add(y, f)
	s.plus(y, k, s.named("ln2High"))
	return y
}

func logOf(s isa, x VecVirtual) VecVirtual {
	tiny := s.c(0x1p-126)
	m := s.pick(less, x, tiny, s.mul(x, s.c(0x1p23)), x)
	zero := s.reg()
	s.zero(zero)
	k0 := s.pick(less, x, tiny, s.all(s.c(-23)), zero)
	e := s.shift(VPSRAD, 23, s.subInt(m, s.c(0.75)))
	k := s.reg()
	VCVTDQ2PS(e, k)
	k = s.add(k, k0)
	m = s.subInt(m, s.shift(VPSLLD, 23, e))
	y := s.log1p(s.sub(m, s.c(1)), k)
	y = s.pick(less, x, s.bits(0x7f800000), y, x) // also NaN
	y = s.pick(equal, x, s.c(0), s.all(s.bits(0xff800000)), y)
	return s.pick(less, x, s.c(0), s.all(s.bits(0x7fc00000)), y)
}

func softplusOf(s isa, x VecVirtual) VecVirtual {
	e := s.expDown(s.or(x, s.bits(0x80000000)))
	zero := s.reg()
	s.zero(zero)
	half := s.c(0.5)
	f := s.pick(greater, e, half, s.mul(s.sub(e, s.c(1)), half), e)
	k := s.pick(greater, e, half, s.all(s.c(1)), zero)
	return s.add(s.log1p(f, k), s.greater(s.c(0), x))
}

func mishOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	e := s.expDown(s.lesser(s.named("mishHigh"), x))
	w := s.mul(e, s.add(e, s.c(2)))
	return s.mul(s.div(w, s.add(w, s.c(2))), x)
}

func erfOf(s isa, x VecVirtual) VecVirtual {
	a := s.abs(x)
	small := s.horner(erfSeries, s.mul(x, x))
	near := s.copyOf(a)
	s.plus(near, small, a)
	b := s.lesser(s.named("erfHigh"), a)
	e := s.expDown(s.xor(s.horner(erfcSeries, b), s.bits(0x80000000)))
	far := s.sub(s.all(s.c(1)), e)
	return s.withSign(s.pick(less, a, s.named("erfSplit"), near, far), x)
}

func sqrtOf(s isa, x VecVirtual) VecVirtual {
	v := s.reg()
	VSQRTPS(x, v)
	return v
}

func rsqrtOf(s isa, x VecVirtual) VecVirtual { return s.div(s.all(s.c(1)), sqrtOf(s, x)) }

func negOf(s isa, x VecVirtual) VecVirtual { return s.xor(x, s.bits(0x80000000)) }

func absOf(s isa, x VecVirtual) VecVirtual { return s.abs(x) }

func floorOf(s isa, x VecVirtual) VecVirtual {
	v := s.reg()
	const down, quiet = 1, 8
	if s.bytes == 64 {
		VRNDSCALEPS(Imm(down|quiet), x, v)
	} else {
		VROUNDPS(Imm(down|quiet), x, v)
	}
	return v
}

// signOf is 1 above zero, -1 below, and 0 for NaN as well.
func signOf(s isa, x VecVirtual) VecVirtual {
	zero := s.reg()
	s.zero(zero)
	return s.pick(greater, x, s.c(0), s.all(s.c(1)), s.pick(less, x, s.c(0), s.all(s.c(-1)), zero))
}
