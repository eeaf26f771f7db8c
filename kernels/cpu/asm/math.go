package asm

import "math"

// Functions of one float32. Every operation is rounded as written, and FMA
// once; the vector kernels do the same ones. A product that is added to
// something is converted to float32, so that no compiler fuses the two.

// lesser and greater pick b unless a is smaller or greater: a NaN in b stays.
func lesser(a, b float32) float32 {
	if a < b {
		return a
	}
	return b
}

func greater(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// withSign is x, which has no sign, with the sign of y.
func withSign(x, y float32) float32 {
	return math.Float32frombits(math.Float32bits(x) | math.Float32bits(y)&(1<<31))
}

// parts is x = n ln(2) + r with |r| <= ln(2)/2, and t = roundMagic + n.
func parts(x float32) (t, r float32) {
	t = FMA(x, log2e, roundMagic)
	n := t - roundMagic
	return t, FMA(-n, ln2Low, FMA(-n, ln2High, x))
}

// expPoly is (eʳ - 1 - r) / r².
func expPoly(r float32) float32 {
	p := FMA(expSeries4, r, expSeries3)
	p = FMA(p, r, expSeries2)
	p = FMA(p, r, expSeries1)
	return FMA(p, r, expSeries0)
}

// whole is n of t = roundMagic + n.
func whole(t float32) int32 {
	return int32(math.Float32bits(t) - math.Float32bits(roundMagic))
}

// power is 2 to the power n.
func power(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func expOf(x float32) float32 { return expDown(lesser(expHigh, x)) }

// expDown is eˣ for x <= expHigh.
func expDown(x float32) float32 {
	t, r := parts(greater(expLow, x))
	p := FMA(FMA(expPoly(r), r, 1), r, 1)
	n := whole(t)
	half := n >> 1 // in two steps, of which only the second rounds
	return float32(float32(p*power(half)) * power(n-half))
}

// exp2Of is 2 to the power x <= 0, and 0 where that is rounded to less than -126.
func exp2Of(x float32) float32 {
	x = greater(exp2Low, x)
	n := float32(math.RoundToEven(float64(x)))
	r := x - n
	p := FMA(exp2Series4, r, exp2Series3)
	p = FMA(p, r, exp2Series2)
	p = FMA(p, r, exp2Series1)
	p = FMA(p, r, exp2Series0)
	if p = FMA(p, r, 1); p != p {
		return p
	}
	return float32(p * power(int32(n)))
}

// expm1 is eˣ - 1 for -25 < x < 88.
func expm1(x float32) float32 {
	t, r := parts(x)
	q := FMA(expPoly(r), r*r, r)
	two := power(whole(t))
	return FMA(q, two, two-1)
}

func expm1Of(x float32) float32 { return expm1(greater(expm1Low, lesser(0, x))) }

// sigmoidOf takes e to the power -|x|, which does not overflow.
func sigmoidOf(x float32) float32 {
	e := expDown(math.Float32frombits(math.Float32bits(x) | 1<<31))
	if x < 0 {
		return e / (e + 1)
	}
	return 1 / (e + 1)
}

// times is x sigmoid(z) = x / (1 + e to the power -z), for z that is not too low.
func times(x, z float32) float32 { return x / (expDown(-lesser(gateHigh, z)) + 1) }

// siluOf is -0 for x so low that the exponential is infinite; so are the other
// gated functions.
func siluOf(x float32) float32 {
	x = greater(expLow, x)
	return times(x, x)
}

func quickGeluOf(x float32) float32 {
	x = greater(expLow, x)
	return times(x, greater(expLow, x*quickSlope))
}

func geluTanhOf(x float32) float32 {
	x = greater(expLow, x)
	return times(x, greater(expLow, FMA(x*x, geluCube, geluSlope)*x))
}

// geluOf is max(x, 0) - a P(X > a) for a = |x|, with a polynomial for each
// piece of a.
func geluOf(x float32) float32 {
	a := lesser(tailHigh, abs(x))
	t := FMA(a, tailPerUnit, roundMagic)
	r := FMA(-(t - roundMagic), tailWidth, a)
	q := float32(0)
	if a < tailHigh {
		n := math.Float32bits(t) & 15
		pair := func(i int) float32 { return FMA(tailPieces[i+1][n], r, tailPieces[i][n]) }
		q = FMA(pair(6), r*r, pair(4))
		q = FMA(q, r*r, pair(2))
		q = FMA(q, r, tailPieces[1][n])
		q = FMA(q, r, tailPieces[0][n])
	} else if a != a {
		q = a
	}
	return FMA(-q, a, greater(0, x))
}

// tanhOf is (e²ᵃ - 1) / (e²ᵃ + 1) for a = |x|, with the sign of x.
func tanhOf(x float32) float32 {
	a := lesser(tanhHigh, abs(x))
	m := expm1(a + a)
	return withSign(m/(m+2), x)
}

// logParts is k ln(2) + ln(1 + f) for -1/4 <= f <= 1/2.
func logParts(f, k float32) float32 {
	square := float32(f * f)
	p := FMA(logSeries7, f, logSeries6)
	p = FMA(p, f, logSeries5)
	p = FMA(p, f, logSeries4)
	p = FMA(p, f, logSeries3)
	p = FMA(p, f, logSeries2)
	p = FMA(p, f, logSeries1)
	p = FMA(p, f, logSeries0)
	y := float32(float32(p*f) * square)
	y = FMA(k, ln2Low, y)
	y = FMA(square, -0.5, y)
	return FMA(k, ln2High, float32(y+f))
}

// logOf is -inf at 0 and NaN below.
func logOf(x float32) float32 {
	const inf = math.MaxFloat32
	switch {
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case !(x <= inf):
		return x
	}
	m, k0 := x, float32(0)
	if x < 0x1p-126 {
		m, k0 = x*0x1p23, -23
	}
	bits := int32(math.Float32bits(m))
	e := (bits - int32(math.Float32bits(0.75))) >> 23
	return logParts(math.Float32frombits(uint32(bits-e<<23))-1, float32(e)+k0)
}

// softplusOf is max(x, 0) + ln(1 + e to the power -|x|).
func softplusOf(x float32) float32 {
	e := expDown(math.Float32frombits(math.Float32bits(x) | 1<<31))
	f, k := e, float32(0)
	if e > 0.5 {
		f, k = float32((e-1)*0.5), 1
	}
	return logParts(f, k) + greater(0, x)
}

// mishOf is x w / (w + 2) for w = e (e + 2): tanh(ln(1+e)).
func mishOf(x float32) float32 {
	x = greater(expLow, x)
	e := expDown(lesser(mishHigh, x))
	w := e * (e + 2)
	return float32(w/(w+2)) * x
}

// erfOf is a + a p(a²) for small a = |x|, else 1 - exp(-p(a)), with the sign of x.
func erfOf(x float32) float32 {
	a := abs(x)
	if a < erfSplit {
		s := x * x
		p := FMA(erfSeries5, s, erfSeries4)
		p = FMA(p, s, erfSeries3)
		p = FMA(p, s, erfSeries2)
		p = FMA(p, s, erfSeries1)
		p = FMA(p, s, erfSeries0)
		return withSign(FMA(a, p, a), x)
	}
	b := lesser(erfHigh, a)
	p := FMA(erfcSeries6, b, erfcSeries5)
	p = FMA(p, b, erfcSeries4)
	p = FMA(p, b, erfcSeries3)
	p = FMA(p, b, erfcSeries2)
	p = FMA(p, b, erfcSeries1)
	p = FMA(p, b, erfcSeries0)
	return withSign(1-expDown(-p), x)
}

func sqrtOf(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func rsqrtOf(x float32) float32 { return 1 / sqrtOf(x) }

func floorOf(x float32) float32 { return float32(math.Floor(float64(x))) }

// signOf is 0 for NaN as well.
func signOf(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// leakyOf is a below zero times b, and a elsewhere.
func leakyOf(a, b float32) float32 {
	if a < 0 {
		return a * b
	}
	return a
}

// maxOf is a > b ? a : b, and NaN if either is.
func maxOf(a, b float32) float32 {
	if a > b || a != a {
		return a
	}
	return b
}

// minOf is a < b ? a : b, and NaN if either is.
func minOf(a, b float32) float32 {
	if a < b || a != a {
		return a
	}
	return b
}
