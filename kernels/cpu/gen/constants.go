package main

import (
	"fmt"
	"strings"
)

// series is a polynomial, its coefficients from the lowest power on, or a
// group of single constants.
type series struct {
	name, doc string
	c         []float32
}

// The polynomials are minimax fits: weighted least squares at Chebyshev nodes,
// reweighted until the greatest error is least (Lawson's method), with the
// coefficients rounded to float32 from the lowest power on and those above
// fitted again.
var (
	expSeries = series{"expSeries", "(eʳ - 1 - r) / r² for |r| <= ln(2)/2; relative error of eʳ 3.2e-9.",
		[]float32{0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558b0p-5, 0x1.12398ep-7, 0x1.6a4d60p-10}}
	exp2Series = series{"exp2Series", "(2ʳ - 1) / r for |r| <= 1/2; relative error of 2ʳ 9.4e-8.",
		[]float32{0x1.62e42ap-1, 0x1.ebf9c2p-3, 0x1.c6b6d8p-5, 0x1.3ce8aep-7, 0x1.5bda58p-10}}
	logSeries = series{"logSeries", "(ln(1+f) - f + f²/2) / f³ for -1/4 <= f <= 1/2; relative error of ln(1+f) 5e-9.",
		[]float32{0x1.5555a4p-2, -0x1.000044p-2, 0x1.99694ep-3, -0x1.54ee1cp-3, 0x1.28871ep-3, -0x1.0da16ap-3, 0x1.acd6d4p-4, -0x1.717abap-5}}
	erfSeries = series{"erfSeries", "erf(x)/x - 1 in x² for |x| <= 0.85; relative error 6.8e-9.",
		[]float32{0x1.06eba8p-3, -0x1.812726p-2, 0x1.ce256ap-4, -0x1.b735eap-6, 0x1.4b7630p-8, -0x1.4cd860p-11}}
	erfcSeries = series{"erfcSeries", "-ln(erfc(x)) for 0.85 <= x <= 4; relative error of erf 2.1e-9.",
		[]float32{0x1.b6651cp-14, 0x1.20c89cp+0, 0x1.45e5cap-1, 0x1.ac239ap-4, -0x1.70f454p-6, 0x1.98ab46p-9, -0x1.ab270cp-13}}
)

// single are constants by name.
var single = []series{
	{"log2e", "1/ln(2).", []float32{1.4426950408889634}},
	{"ln2High", "the upper bits of ln(2), so few that its multiples up to 2⁹ are exact.", []float32{0x1.62ep-1}},
	{"ln2Low", "ln(2) - ln2High.", []float32{0.693147180559945309417232121458 - 0x1.62ep-1}},
	{"roundMagic", "1.5 2²³: adding it rounds to a whole number, in the low bits.", []float32{0x1.8p23}},
	{"expHigh", "exp is infinite from here on.", []float32{89}},
	{"exp2Low", "of attention, 2 to a power is zero here.", []float32{-127}},
	{"expLow", "exp is zero from here down.", []float32{-105}},
	{"gateHigh", "exp of -x is zero from here on.", []float32{105}},
	{"tanhHigh", "tanh is 1 from here on.", []float32{10}},
	{"expm1Low", "exp(x) - 1 is -1 from here down.", []float32{-20}},
	{"mishHigh", "mish(x) is x from here on.", []float32{20}},
	{"tailPerUnit", "pieces of tailPieces in a unit of x.", []float32{8. / 3}},
	{"tailWidth", "of a piece.", []float32{0.375}},
	{"tailHigh", "the end of the last piece.", []float32{5.8125}},
	{"erfSplit", "where erfc takes over from erf.", []float32{0.85}},
	{"erfHigh", "erf is 1 from here on.", []float32{4}},
	{"geluSlope", "2 sqrt(2/pi).", []float32{1.5957691216057308}},
	{"geluCube", "2 sqrt(2/pi) 0.044715.", []float32{1.5957691216057308 * 0.044715}},
	{"quickSlope", "of quick_gelu.", []float32{1.702}},
}

// tailPieces are polynomials of P(X > x) of the normal distribution around x =
// 0.375 n, for n = 0 to 15: row i has what stands before the power i. The
// relative error is at most 1.4e-7.
var tailPieces = [8][16]float32{
	{0x1p-1, 0x1.6a527ap-2, 0x1.d022p-3, 0x1.0ad7dap-3, 0x1.11a46ep-4, 0x1.f20394p-6, 0x1.90925p-7, 0x1.1bee6cp-8, 0x1.61de2p-10, 0x1.8301bep-12, 0x1.72d956p-14, 0x1.36feaep-16, 0x1.c80728p-19, 0x1.24149ap-21, 0x1.46a16cp-24, 0x1.3eb344p-27},
	{-0x1.988454p-2, -0x1.7cc796p-2, -0x1.345d5ep-2, -0x1.b1ec62p-3, -0x1.094086p-3, -0x1.19bfa2p-4, -0x1.0402ep-5, -0x1.a0f22cp-7, -0x1.227214p-8, -0x1.5f90f6p-10, -0x1.71b92ep-12, -0x1.51cfa6p-14, -0x1.0c29a4p-16, -0x1.71e57ap-19, -0x1.bb4a96p-22, -0x1.cd8eb8p-25},
	{0x1.369308p-20, 0x1.1d8dd2p-4, 0x1.ce8d6ap-4, 0x1.e82a2cp-4, 0x1.8ddfdap-4, 0x1.082422p-4, 0x1.2482cap-5, 0x1.119efp-6, 0x1.b3aae6p-8, 0x1.28a26p-9, 0x1.5a9dbp-11, 0x1.5c5e6p-13, 0x1.2daef6p-15, 0x1.c2cfc8p-18, 0x1.22e928p-20, 0x1.4488b8p-23},
	{0x1.102ed8p-4, 0x1.b46006p-5, 0x1.67b28p-6, -0x1.335ee6p-7, -0x1.ba0e5ap-6, -0x1.d88a8cp-6, -0x1.601786p-6, -0x1.995864p-7, -0x1.834254p-8, -0x1.306af6p-9, -0x1.927612p-11, -0x1.c2db5ap-13, -0x1.ae2e22p-15, -0x1.5ede6p-17, -0x1.ea9cdp-20, -0x1.269fap-22},
	{0x1.4521bcp-11, -0x1.06f0d4p-6, -0x1.796cf8p-6, -0x1.1a80bcp-6, -0x1.897962p-8, 0x1.66a898p-9, 0x1.93450cp-8, 0x1.62d6d6p-8, 0x1.b3ce5p-9, 0x1.9eca6ep-10, 0x1.3f832p-11, 0x1.96cd36p-13, 0x1.b1a03p-15, 0x1.8601aep-17, 0x1.29a72ap-19, 0x1.8323a2p-22},
	{-0x1.e89338p-7, -0x1.e0adf2p-8, 0x1.8982eep-12, 0x1.5bb058p-8, 0x1.77ad8ap-8, 0x1.bc4094p-9, 0x1.c0110cp-12, -0x1.fbeca2p-11, -0x1.2313c6p-10, -0x1.78ef66p-11, -0x1.66505p-12, -0x1.0bd87ap-13, -0x1.45a79ep-15, -0x1.47ddc2p-17, -0x1.1412e2p-19, -0x1.880aacp-22},
	{0x1.3d29dp-6, -0x1.078564p-7, 0x1.404b6ep-8, 0x1.aba928p-10, -0x1.f8a90cp-10, -0x1.7f3a8ep-11, -0x1.54e76p-10, -0x1.3676cep-12, 0x1.746e96p-14, 0x1.9a2ccap-13, 0x1.17a6b4p-13, 0x1.07fa3cp-14, 0x1.78977ep-16, 0x1.b2086ap-18, 0x1.9abe88p-20, 0x1.42bcfcp-22},
	{-0x1.d3740cp-6, 0x1.82b91ep-7, -0x1.138e22p-8, -0x1.536ec8p-10, 0x1.04e1a2p-9, -0x1.e287dap-10, 0x1.f155dp-11, 0x1.d30bc8p-13, 0x1.18814p-13, -0x1.6a726ap-16, -0x1.20c6ep-15, -0x1.87886ap-16, -0x1.4b0676p-17, -0x1.ad9a5ap-19, -0x1.cc3538p-21, -0x1.8fe14cp-23},
}

// named returns a constant of single.
func named(name string) float32 {
	for _, s := range single {
		if s.name == name {
			return s.c[0]
		}
	}
	panic("gen: no constant " + name)
}

// writeConstants writes the constants for the Go loops.
func writeConstants(file string) error {
	var b strings.Builder
	b.WriteString("// Code generated by command gen. DO NOT EDIT.\n\npackage asm\n\nconst (\n")
	for _, s := range single {
		fmt.Fprintf(&b, "// %s: %s\n%s float32 = %s\n", s.name, s.doc, s.name, literal(s.c[0]))
	}
	b.WriteString(")\n")
	for _, s := range []series{expSeries, exp2Series, logSeries, erfSeries, erfcSeries} {
		fmt.Fprintf(&b, "\n// %s: %s\nconst (\n", s.name, s.doc)
		for i, c := range s.c {
			fmt.Fprintf(&b, "%s%d float32 = %s\n", s.name, i, literal(c))
		}
		b.WriteString(")\n")
	}
	b.WriteString("\n// tailPieces holds polynomials of P(X > x) of the normal distribution around x =\n")
	b.WriteString("// tailWidth n: row i has what stands before the power i.\nvar tailPieces = [8][16]float32{\n")
	for _, row := range tailPieces {
		b.WriteString("{")
		for _, c := range row {
			b.WriteString(literal(c) + ", ")
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	b.WriteString(circleConstants())
	return writeGo(file, b.String())
}

func literal(v float32) string { return fmt.Sprintf("%x", v) }
