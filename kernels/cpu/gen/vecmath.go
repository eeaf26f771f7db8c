package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The formulas of functions of one float. asm/math.go holds the same in Go,
// operation for operation, with their errors; see there for what they equal.

// expParts is x = n ln(2) + r: it gives t = roundMagic + n, and changes x to r.
func (s isa) expParts(x VecVirtual) (t, r VecVirtual) {
	t = s.all(s.named("roundMagic"))
	s.plus(t, x, s.named("log2e"))
	n := s.sub(t, s.named("roundMagic"))
	s.minus(x, n, s.named("ln2High"))
	s.minus(x, n, s.named("ln2Low"))
	return t, x
}

// exp is eˣ.
func (s isa) exp(x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	t, r := s.expParts(x)
	p := s.horner(expSeries, r)
	s.then(p, r, s.c(1))
	s.then(p, r, s.c(1))
	if s.bytes == 64 {
		v := s.reg()
		VSCALEFPS(s.sub(t, s.named("roundMagic")), p, v)
		return v
	}
	// 2 to the power n in two steps, of which only the second rounds.
	i := s.subInt(t, s.named("roundMagic"))
	h := s.shift(VPSRAD, 1, i)
	i = s.subInt(i, h)
	return s.mul(s.mul(p, s.power(h)), s.power(i))
}

// power is 2 to the power n, for whole n.
func (s isa) power(n VecVirtual) VecVirtual {
	return s.shift(VPSLLD, 23, s.addInt(n, s.bits(127)))
}

// expm1 is eˣ - 1 for -25 < x < 88; it changes x.
func (s isa) expm1(x VecVirtual) VecVirtual {
	t, r := s.expParts(x)
	p := s.horner(expSeries, r)
	q := s.copyOf(r)
	s.plus(q, p, s.mul(r, r))
	two := s.power(s.subInt(t, s.named("roundMagic")))
	v := s.sub(two, s.c(1))
	s.plus(v, q, two)
	return v
}

func expOf(s isa, x VecVirtual) VecVirtual {
	return s.exp(s.lesser(s.named("expHigh"), x))
}

// gate is sigmoid(x) as numerator and denominator.
func (s isa) gate(x VecVirtual) (over, under VecVirtual) {
	e := s.exp(s.or(x, s.bits(0x80000000)))
	return s.pick(less, x, s.c(0), e, s.all(s.c(1))), s.add(e, s.c(1))
}

func sigmoidOf(s isa, x VecVirtual) VecVirtual {
	over, under := s.gate(x)
	return s.div(over, under)
}

// times is x sigmoid(z), and -0 for x so low that its exponential is zero.
func (s isa) times(x, z VecVirtual) VecVirtual {
	over, under := s.gate(z)
	return s.div(s.mul(x, over), under)
}

func siluOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	return s.times(x, x)
}

func quickGeluOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	return s.times(x, s.mul(x, s.named("quickSlope")))
}

func geluTanhOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	k := s.mul(x, x)
	a := s.all(s.named("geluSlope"))
	s.plus(a, k, s.named("geluCube"))
	return s.times(x, s.mul(a, x))
}

// gelu is max(x, 0) - a P(X > a) for a = |x|, with a polynomial for each piece
// of a: tables holds their coefficients.
func (s isa) gelu(tables []Op, x VecVirtual) VecVirtual {
	a := s.lesser(s.named("tailHigh"), s.abs(x))
	t := s.all(s.named("roundMagic"))
	s.plus(t, a, s.named("tailPerUnit"))
	r := s.copyOf(a)
	s.minus(r, s.sub(t, s.named("roundMagic")), s.named("tailWidth"))
	lookup := s.lookup(t)
	q := lookup(tables[len(tables)-1])
	for i := len(tables) - 2; i >= 0; i-- {
		s.then(q, r, lookup(tables[i]))
	}
	zero := s.reg()
	s.zero(zero)
	q = s.pick(atLeast, a, s.named("tailHigh"), zero, q) // NaN stays
	v := s.greater(s.c(0), x)
	s.minus(v, q, a)
	return v
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
	e := s.exp(s.or(x, s.bits(0x80000000)))
	zero := s.reg()
	s.zero(zero)
	half := s.c(0.5)
	f := s.pick(greater, e, half, s.mul(s.sub(e, s.c(1)), half), e)
	k := s.pick(greater, e, half, s.all(s.c(1)), zero)
	return s.add(s.log1p(f, k), s.greater(s.c(0), x))
}

func mishOf(s isa, x VecVirtual) VecVirtual {
	x = s.greater(s.named("expLow"), x)
	e := s.exp(s.lesser(s.named("mishHigh"), x))
	w := s.mul(e, s.add(e, s.c(2)))
	return s.mul(s.div(w, s.add(w, s.c(2))), x)
}

func erfOf(s isa, x VecVirtual) VecVirtual {
	a := s.abs(x)
	small := s.horner(erfSeries, s.mul(x, x))
	near := s.copyOf(a)
	s.plus(near, small, a)
	b := s.lesser(s.named("erfHigh"), a)
	e := s.exp(s.xor(s.horner(erfcSeries, b), s.bits(0x80000000)))
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
