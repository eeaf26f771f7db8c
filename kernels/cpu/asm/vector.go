package asm

// Map is y[i] = f(x[i]) for every element of y; y may be x.
type Map func(y, x []float32)

// Join is y[i] = f(a[i], b[i]) for every element of y, which may be an operand.
type Join func(y, a, b []float32)

// JoinNumber is a Join with the same number for every element.
type JoinNumber func(y, a []float32, b float32)

// Vector holds functions over rows of floats. A row is as long as y (or, where
// nothing is written, x); the other operands have at least as many elements.
// Memory of the stack that is handed to one moves to the heap, so callers that
// must not allocate bring their own.
// Errors are in units of the last place (ulp) of the float32 nearest to the
// exact value, over all of its range, subnormal values and infinities
// included; the tests measure them.
//
// Sums are taken in 16 lanes of float64: element i is added to lane i%16, in
// order; then
//
//	eight[i] = lane[i] + lane[i+8]
//	four[i]  = eight[i] + eight[i+4]
//	sum      = (four[0] + four[1]) + (four[2] + four[3])
type Vector struct {
	Exp      Map // eˣ, within 1 ulp
	Expm1    Map // eˣ - 1 for x <= 0, and 0 above, within 1 ulp
	Log      Map // ln(x), within 1 ulp
	Tanh     Map // within 2.5 ulp
	Sigmoid  Map // 1 / (1 + e⁻ˣ), within 2.5 ulp
	Erf      Map // within 1.25 ulp
	Softplus Map // ln(1 + eˣ), within 1.75 ulp

	// x sigmoid(z), within 3 + 2.5|z| ulp for x < 0, else 3, and within 2⁻¹⁰⁰
	// where x or z is below -80; z is x, or 1.702 x, or 2 sqrt(2/pi) (x + 0.044715 x³).
	Silu, QuickGelu, GeluTanh Map

	Gelu  Map // x P(X <= x) of the normal distribution, within 3.75 ulp; 0 below -5.8125, which is off by 1.8e-8
	Mish  Map // x tanh(softplus(x)), within 4.25 ulp, and within 2⁻¹⁰⁰ below -80
	Sqrt  Map // rounded once
	Rsqrt Map // 1 / Sqrt, within 1.5 ulp

	Neg, Abs, Floor Map // exact
	Sign            Map // 1, -1, or 0 for 0 and NaN

	RoundBF16, RoundF16 Map // to the nearest value of such a type, as package half does

	SinNear, CosNear Near // below 2³⁰; use Sin and Cos

	// Rounded once. Max is a > b ? a : b, and Min a < b ? a : b, and NaN if
	// either operand is. The number of SSub and SDiv comes first.
	// Leaky is a < 0 ? a b : a.
	Add, Sub, Mul, Div, Max, Min, Leaky                    Join
	AddS, SubS, SSub, MulS, DivS, SDiv, MaxS, MinS, LeakyS JoinNumber

	ScaleMul func(y, x, w []float32, s float32)         // y[i] = (x[i] s) w[i]
	Center   func(y, x []float32, high, low, s float32) // y[i] = ((x[i] - high) - low) s
	MixS     func(y, a, b []float32, s, t float32)      // y[i] = a[i] s + b[i] t, each rounded
	// y[i] = ((x[i] - high) - low) s w[i] + c[i], the last product and sum rounded once
	Normalize func(y, x, w, c []float32, high, low, s float32)
	Elu       func(y, x []float32, alpha float32) // y[i] = x[i] > 0 ? x[i] : alpha Expm1(x[i])
	Fill      func(y []float32, v float32)        // y[i] = v

	Sum        func(x []float32) float64
	SumSquares func(x []float32, mean float64) float64 // of (x[i] - mean)²
	Squares    func(x []float32) float64               // the sum of x[i]²
	// Moments are the sums of x[i] - shift and of its squares, which are rounded
	// together with their sum.
	Moments  func(x []float32, shift float64) (sum, squares float64)
	Greatest func(x []float32) float32 // NaN if any element is; -inf if there is none
	Least    func(x []float32) float32 // NaN if any element is; inf if there is none

	Highest func(x []float32) float32 // Greatest if no element is NaN, else anything

	// SumExp is y[i] = Exp(x[i] - shift) for differences up to 88, and their
	// sum: of every 64 elements, i, i+16, i+32 and i+48 are first added in
	// float32, as (0+1) + (2+3).
	SumExp func(y, x []float32, shift float32) float64

	// Weigh makes weights of the scores of m rows, 0 < m <= Rows: of row i those
	// from p[i*ld+seen[i][0]] to p[i*ld+seen[i][1]-1]. With top the greater of
	// greatest[i] and log2(e) times their greatest, a score x becomes 2 to the power
	// log2(e) x - top, within 2 ulp of that of the rounded power; 0 below 2⁻¹²⁶·⁵.
	// shrink[i] is 2 to the power greatest[i] - top, 1 if that is no more; totals[i]
	// becomes shrink[i] totals[i] + the weights, added up as by SumExp, and
	// greatest[i] top. greatest and shrink have room for 16 floats, of which those
	// beyond m stay and may become anything.
	Weigh func(m int, p *float32, ld int, seen *[2]int, greatest *float32, totals *float64, shrink *float32)

	SumInto     func(acc []float64, x []float32)       // acc[i] += x[i]
	SquaresInto func(acc, mean []float64, x []float32) // acc[i] += (x[i] - mean[i])²

	// Conversions, as package half does them.
	WidenBF16, WidenF16   func(y []float32, x []uint16)
	NarrowBF16, NarrowF16 func(y []uint16, x []float32)

	// Rotations is cos[i], sin[i] = scale times cosine and sine of position
	// freq[i] radians, below 2³⁰, in float64 and then rounded; rows are multiples
	// of 16 long.
	Rotations func(cos, sin []float32, freq []float64, position, scale float64)
	// Turn is y1[i], y2[i] = x1[i] cos[i] - x2[i] sin[i], x2[i] cos[i] + x1[i] sin[i].
	// y1 and y2 may be x1 and x2.
	Turn func(y1, y2, x1, x2, cos, sin []float32)
	// TurnPairs is Turn for x1, x2 = x[2i], x[2i+1], and y alike, of as many pairs
	// as cos is long.
	TurnPairs func(cos, sin, y, x []float32)
	// WidenQ8 decodes whole blocks of q8_0, exactly: a scale, f16, and 32 numbers
	// of 8 bits that it multiplies.
	WidenQ8 func(y []float32, x []byte)

	Stream Stream
}

// Stream holds some functions of Vector that write past the caches, which is
// faster where the result is too large to stay there. y, or out, begins at a multiple
// of 64 bytes. Other threads may read it after a Fence.
type Stream struct {
	Copy, Exp, Silu, Gelu, GeluTanh Map
	Add, Mul                        Join
	MulS                            JoinNumber
	ScaleMul                        func(y, x, w []float32, s float32)
	Center                          func(y, x []float32, high, low, s float32)
	Normalize                       func(y, x, w, c []float32, high, low, s float32)
	// SumExp is that of Vector; meanwhile it writes the row before, out[i] =
	// kept[i] scale, and has the memory of next, as long as x, come near.
	SumExp func(y, x []float32, shift float32, out, kept []float32, scale float32, next []float32) float64
	// Squares is that of Vector; meanwhile it writes the row before, out = ScaleMul(before, w, s).
	Squares func(x, out, before, w []float32, s float32) (sum float64)
	// Moments is that of Vector; meanwhile it writes out = Normalize(before, w, c, high, low, s).
	Moments func(x []float32, shift float64, out, before, w, c []float32, high, low, s float32) (sum, squares float64)
	// MomentsCenter writes out = Center(before, high, low, s).
	MomentsCenter func(x []float32, shift float64, out, before []float32, high, low, s float32) (sum, squares float64)
	Fence         func()
}
