package asm

import (
	"encoding/binary"
	"math"
	"unsafe"

	"pipe.dev/kernels/half"
)

// genericVector holds the loops that define what the vector kernels compute.
func genericVector() Vector {
	v := Vector{
		Exp: mapping(expOf), Expm1: mapping(expm1Of), Log: mapping(logOf), Tanh: mapping(tanhOf), Sigmoid: mapping(sigmoidOf), Erf: mapping(erfOf),
		Silu: mapping(siluOf), Gelu: mapping(geluOf), GeluTanh: mapping(geluTanhOf), QuickGelu: mapping(quickGeluOf),
		Softplus: mapping(softplusOf), Mish: mapping(mishOf),
		Sqrt: mapping(sqrtOf), Rsqrt: mapping(rsqrtOf), Floor: mapping(floorOf), Abs: mapping(abs),
		Sign: mapping(signOf), RoundBF16: mapping(roundBF16), RoundF16: mapping(roundF16),
		SinNear: near(0), CosNear: near(1), Rotations: rotations, Turn: turnHalves, TurnPairs: turnPairs,
		Leaky: join(leakyOf), LeakyS: number(leakyOf),
		Neg: mapping(func(x float32) float32 { return -x }),

		Add: join(addOf), Sub: join(subOf), Mul: join(mulOf), Div: join(divOf), Max: join(maxOf), Min: join(minOf),
		AddS: number(addOf), SubS: number(subOf), MulS: number(mulOf), DivS: number(divOf), MaxS: number(maxOf), MinS: number(minOf),
		SSub: number(func(a, b float32) float32 { return b - a }),
		SDiv: number(func(a, b float32) float32 { return b / a }),

		ScaleMul: scaleMul, Center: center, Normalize: normalize, MixS: mixRows, Elu: elu, Fill: fill,
		Sum: sum, SumSquares: sumSquares, Squares: squares, Moments: moments, SumExp: sumExp, Weigh: weigh,
		Highest: greatest, Greatest: greatest, Least: least,
		SumInto: sumInto, SquaresInto: squaresInto,
		WidenBF16: convert(half.BF16ToF32), WidenF16: convert(half.F16ToF32),
		NarrowBF16: convert(half.F32ToBF16), NarrowF16: convert(half.F32ToF16),
		WidenQ8: widenQ8,
	}
	v.Stream = Stream{Copy: func(y, x []float32) { copy(y, x) }, Exp: v.Exp, Silu: v.Silu, Gelu: v.Gelu, GeluTanh: v.GeluTanh, Add: v.Add, Mul: v.Mul, MulS: v.MulS,
		ScaleMul: v.ScaleMul, Center: v.Center, Normalize: v.Normalize, SumExp: streamSumExp,
		Squares: streamSquares, Moments: streamMoments, MomentsCenter: streamMomentsCenter, Fence: func() {}}
	return v
}

func mapping(f func(x float32) float32) Map {
	return func(y, x []float32) {
		x = x[:len(y)]
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

func join(f func(a, b float32) float32) Join {
	return func(y, a, b []float32) {
		a, b = a[:len(y)], b[:len(y)]
		for i := range y {
			y[i] = f(a[i], b[i])
		}
	}
}

func number(f func(a, b float32) float32) JoinNumber {
	return func(y, a []float32, b float32) {
		a = a[:len(y)]
		for i, v := range a {
			y[i] = f(v, b)
		}
	}
}

func convert[D, S float32 | uint16](f func(S) D) func(y []D, x []S) {
	return func(y []D, x []S) {
		x = x[:len(y)]
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

func widenQ8(y []float32, x []byte) {
	for ; len(y) >= 32; x, y = x[34:], y[32:] {
		scale := half.F16ToF32(binary.LittleEndian.Uint16(x))
		for i := range 32 {
			y[i] = float32(int8(x[2+i])) * scale
		}
	}
}

func addOf(a, b float32) float32 { return a + b }
func subOf(a, b float32) float32 { return a - b }
func mulOf(a, b float32) float32 { return a * b }
func divOf(a, b float32) float32 { return a / b }

func roundBF16(x float32) float32 { return half.BF16ToF32(half.F32ToBF16(x)) }
func roundF16(x float32) float32  { return half.F16ToF32(half.F32ToF16(x)) }

func turnHalves(y1, y2, x1, x2, cos, sin []float32) {
	for i := range y1 {
		a, b := x1[i], x2[i]
		y1[i], y2[i] = float32(a*cos[i])-float32(b*sin[i]), float32(b*cos[i])+float32(a*sin[i])
	}
}

func turnPairs(cos, sin, y, x []float32) {
	for i, c := range cos {
		a, b := x[2*i], x[2*i+1]
		y[2*i], y[2*i+1] = float32(a*c)-float32(b*sin[i]), float32(b*c)+float32(a*sin[i])
	}
}

func scaleMul(y, x, w []float32, s float32) {
	for i := range y {
		y[i] = float32(x[i]*s) * w[i]
	}
}

func center(y, x []float32, high, low, s float32) {
	for i := range y {
		y[i] = ((x[i] - high) - low) * s
	}
}

func mixRows(y, a, b []float32, s, t float32) {
	for i := range y {
		y[i] = float32(a[i]*s) + float32(b[i]*t)
	}
}

func normalize(y, x, w, c []float32, high, low, s float32) {
	for i := range y {
		y[i] = FMA(((x[i]-high)-low)*s, w[i], c[i])
	}
}

func elu(y, x []float32, alpha float32) {
	for i, v := range x[:len(y)] {
		if v > 0 {
			y[i] = v
		} else {
			y[i] = expm1Of(v) * alpha
		}
	}
}

func fill(y []float32, v float32) {
	for i := range y {
		y[i] = v
	}
}

// fold adds up the lanes of a sum.
func fold(lane *[16]float64) float64 {
	var four [4]float64
	for i := range four {
		four[i] = (lane[i] + lane[i+8]) + (lane[i+4] + lane[i+12])
	}
	return (four[0] + four[1]) + (four[2] + four[3])
}

func sum(x []float32) float64 {
	var lane [16]float64
	for i, v := range x {
		lane[i%16] += float64(v)
	}
	return fold(&lane)
}

func sumSquares(x []float32, mean float64) float64 {
	var lane [16]float64
	for i, v := range x {
		d := float64(v) - mean
		lane[i%16] += float64(d * d)
	}
	return fold(&lane)
}

func squares(x []float32) float64 { return sumSquares(x, 0) } // which are exact

func moments(x []float32, shift float64) (sum, squares float64) {
	var first, second [16]float64
	for i, v := range x {
		d := float64(v) - shift
		first[i%16] += d
		second[i%16] = math.FMA(d, d, second[i%16])
	}
	return fold(&first), fold(&second)
}

func sumExp(y, x []float32, shift float32) float64 {
	for i, v := range x[:len(y)] {
		y[i] = expDown(v - shift)
	}
	return sumFours(y)
}

// sumFours adds up four rows of 16 before it widens them.
func sumFours(y []float32) float64 {
	var lane [16]float64
	for ; len(y) >= 64; y = y[64:] {
		for i := range lane {
			lane[i] += float64((y[i] + y[i+16]) + (y[i+32] + y[i+48]))
		}
	}
	for i, e := range y {
		lane[i%16] += float64(e)
	}
	return fold(&lane)
}

func streamSumExp(y, x []float32, shift float32, out, kept []float32, scale float32, _ []float32) float64 {
	for i, e := range kept[:len(y)] {
		out[i] = e * scale
	}
	return sumExp(y, x, shift)
}

func streamSquares(x, out, before, w []float32, s float32) float64 {
	scaleMul(out[:len(x)], before, w, s)
	return squares(x)
}

func streamMoments(x []float32, shift float64, out, before, w, c []float32, high, low, s float32) (float64, float64) {
	normalize(out[:len(x)], before, w, c, high, low, s)
	return moments(x, shift)
}

func streamMomentsCenter(x []float32, shift float64, out, before []float32, high, low, s float32) (float64, float64) {
	center(out[:len(x)], before, high, low, s)
	return moments(x, shift)
}

func weigh(m int, p *float32, ld int, seen *[2]int, greatest *float32, totals *float64, shrink *float32) {
	tops, sums, shrinks := unsafe.Slice(greatest, m), unsafe.Slice(totals, m), unsafe.Slice(shrink, m)
	for i, s := range unsafe.Slice(seen, m) {
		shrinks[i] = weighRow(unsafe.Slice(p, i*ld+s[1])[i*ld+s[0]:], &tops[i], &sums[i])
	}
}

func weighRow(p []float32, greatest *float32, total *float64) (shrink float32) {
	top := float32(math.Inf(-1))
	for _, v := range p {
		if v > top {
			top = v
		}
	}
	shrink = 1
	if now := float32(top * log2e); now > *greatest {
		shrink = exp2Of(*greatest - now)
		*greatest = now
	}
	for i, v := range p {
		p[i] = exp2Of(FMA(v, log2e, -*greatest))
	}
	*total = float64(*total*float64(shrink)) + sumFours(p)
	return shrink
}

func greatest(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m + 0 // no -0
}

func least(x []float32) float32 {
	m := float32(math.Inf(1))
	for _, v := range x {
		m = min(m, v)
	}
	return m + 0
}

func sumInto(acc []float64, x []float32) {
	for i, v := range x[:len(acc)] {
		acc[i] += float64(v)
	}
}

func squaresInto(acc, mean []float64, x []float32) {
	for i, v := range x[:len(acc)] {
		d := float64(v) - mean[i]
		acc[i] += float64(d * d)
	}
}
