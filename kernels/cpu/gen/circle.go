package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Sine and cosine, computed in float64. asm/circle.go has the same in Go.

// double returns a constant of float64, as an operand in memory.
func (s isa) constant64(v float64) Mem {
	bits := math.Float64bits(v)
	i, ok := s.pool.at64[bits]
	if !ok {
		i = len(s.pool.bits64)
		s.pool.at64[bits], s.pool.bits64 = i, append(s.pool.bits64, bits)
	}
	return NewDataAddr(NewStaticSymbol("doubles"+s.suffix), 8*i*s.repeat64())
}

func (s isa) repeat64() int { return max(1, s.repeat()/2) }

// writePool64 writes the constants of float64 that were asked for.
func (s isa) writePool64() {
	GLOBL("doubles"+s.suffix, RODATA|NOPTR)
	for i, v := range s.pool.bits64 {
		for k := range s.repeat64() {
			DATA(8*(i*s.repeat64()+k), U64(v))
		}
	}
}

// all64 returns a register with a constant of float64 in every lane.
func (s isa) all64(v float64) VecVirtual {
	r := s.reg()
	VBROADCASTSD(s.constant64(v), r)
	return r
}

// with64 writes an instruction whose first operand is a constant of float64.
func (s isa) with64(plain, repeated ops, c float64, rest ...Op) {
	f := plain
	if s.bytes == 64 {
		f = repeated
	}
	f(append([]Op{s.constant64(c)}, rest...)...)
}

// turned is an angle x = n pi/2 + r: what its sine and cosine are made of.
type turned struct {
	t, sin, cos VecVirtual // circleMagic + n, and of r
}

// turn splits a vector of angles; it changes x.
func (s isa) turn(x VecVirtual) turned {
	magic := s.all64(circleMagic)
	t := s.reg()
	VMOVAPD(magic, t)
	s.with64(VFMADD231PD, VFMADD231PD_BCST, 2/math.Pi, x, t)
	n := s.reg()
	VSUBPD(magic, t, n)
	s.with64(VFNMADD231PD, VFNMADD231PD_BCST, quarterHigh, n, x)
	s.with64(VFNMADD231PD, VFNMADD231PD_BCST, quarterLow, n, x)
	z := s.reg()
	VMULPD(x, x, z)
	horner := func(c []float64) VecVirtual {
		p := s.all64(c[len(c)-1])
		for i := len(c) - 2; i >= 0; i-- {
			s.with64(VFMADD213PD, VFMADD213PD_BCST, c[i], z, p)
		}
		return p
	}
	sin := horner(sineSeries)
	cube := s.reg()
	VMULPD(z, x, cube)
	VFMADD213PD(x, cube, sin)
	cos := horner(cosineSeries)
	square, rest := s.reg(), s.all64(-0.5)
	VMULPD(z, z, square)
	s.with64(VFMADD213PD, VFMADD213PD_BCST, 1, z, rest)
	VFMADD213PD(rest, square, cos)
	return turned{t, sin, cos}
}

// part is the sine of the angle, or of the angle and a quarter more.
func (s isa) part(x turned, quarter bool) VecVirtual {
	t := x.t
	if quarter {
		t = s.reg()
		s.with64(VPADDQ, VPADDQ_BCST, math.Float64frombits(1), x.t, t)
	}
	odd, sign, v := s.reg(), s.reg(), s.reg()
	VPSLLQ(Imm(63), t, odd)
	VPSLLQ(Imm(62), t, sign)
	if s.bytes == 64 {
		k := K()
		VPMOVQ2M(odd, k)
		VBLENDMPD(x.cos, x.sin, k, v)
		s.with64(VPANDQ, VPANDQ_BCST, math.Copysign(0, -1), sign, sign)
		VPXORQ(sign, v, v)
		return v
	}
	VBLENDVPD(odd, x.cos, x.sin, v)
	s.with64(func(o ...Op) { VPAND(o[0], o[1], o[2]) }, nil, math.Copysign(0, -1), sign, sign)
	VXORPD(sign, v, v)
	return v
}

// narrow joins two vectors of float64 to one of float32.
func (s isa) narrow(x [2]VecVirtual) VecVirtual {
	v := s.reg()
	if s.bytes == 64 {
		high := YMM()
		VCVTPD2PS(x[0], v.AsY())
		VCVTPD2PS(x[1], high)
		VINSERTF64X4(Imm(1), high, v, v)
		return v
	}
	high := XMM()
	VCVTPD2PSY(x[0], v.AsX())
	VCVTPD2PSY(x[1], high)
	VINSERTF128(Imm(1), high, v, v)
	return v
}

// near writes the sine or cosine of elements that are not far from zero, and
// leaves the others as they are.
func (s isa) near(name string, quarter bool) {
	p, n := s.begin(name, "func(y, x []float32) (far uint32)", "the Near "+name, "y", "x")
	far := s.reg()
	s.zero(far)
	s.each(n, 1, func(ls []lane) {
		l := ls[0]
		x := l.load(p[1])
		wide := s.widen(x)
		var y [2]VecVirtual
		for i := range wide {
			y[i] = s.part(s.turn(wide[i]), quarter)
		}
		v := s.pick(less, s.abs(x), s.c(circleFar), s.narrow(y), x)
		if s.bytes == 64 {
			k := K()
			s.compare(notLess, s.abs(x), s.c(circleFar), k)
			s.emit(func(o ...Op) { VPORD(o[0], o[1], k, o[2]) }, func(o ...Op) { VPORD_BCST(o[0], o[1], k, o[2]) }, s.bits(1), far, far)
		} else {
			m := s.reg()
			VCMPPS(Imm(notLess), s.c(circleFar).Mem, s.abs(x), m)
			VORPS(m, far, far)
		}
		l.store(v, p[0])
	})
	any := GP32()
	if s.bytes == 64 {
		k := K()
		VPTESTMD(far, far, k)
		KMOVW(k, any)
	} else {
		VMOVMSKPS(far, any)
	}
	Store(any, Return("far"))
	s.end()
}

// rotations writes cosines and sines of position * freq.
func (s isa) rotations() {
	p, n := s.begin("Rotations", "func(cos, sin []float32, freq []float64, position, scale float64)", "the Rotations", "cos", "sin", "freq")
	position, scale := s.double("position"), s.double("scale")
	s.run(n, func(l lane) {
		if l.tail {
			return
		}
		var cos, sin [2]VecVirtual
		for i := range cos {
			x := s.reg()
			VMULPD(l.at(p[2], 8).Offset(i*s.bytes), position, x)
			a := s.turn(x)
			sin[i], cos[i] = s.part(a, false), s.part(a, true)
			VMULPD(scale, sin[i], sin[i])
			VMULPD(scale, cos[i], cos[i])
		}
		l.store(s.narrow(cos), p[0])
		l.store(s.narrow(sin), p[1])
	})
	s.end()
}

func (s isa) circle() {
	s.near("SinNear", false)
	s.near("CosNear", true)
	s.rotations()
}

// Constants of angles. The polynomials are those of Cephes (sin.c, Moshier
// 1984-2000), good to the last place of float64.
const (
	circleMagic = 0x1.8p52 // adding it rounds to a whole number, in the low bits
	circleFar   = 0x1p30   // from here on quarterHigh and quarterLow are too coarse
	quarterHigh = math.Pi / 2
	quarterLow  = 6.123233995736766e-17 // pi/2 - quarterHigh
)

var (
	sineSeries   = []float64{-1.66666666666666307295e-1, 8.33333333332211858878e-3, -1.98412698295895385996e-4, 2.75573136213857245213e-6, -2.50507477628578072866e-8, 1.58962301576546568060e-10}
	cosineSeries = []float64{4.16666666666665929218e-2, -1.38888888888730564116e-3, 2.48015872888517045348e-5, -2.75573141792967388112e-7, 2.08757008419747316778e-9, -1.13585365213876817300e-11}
)

// circleConstants are those for the Go loops.
func circleConstants() string {
	text := fmt.Sprintf("\nconst (\ncircleMagic = %x\ncircleFar float32 = %x\nquarterHigh = %x\nquarterLow = %x\n)\n", circleMagic, float32(circleFar), quarterHigh, quarterLow)
	for _, x := range []struct {
		name, doc string
		c         []float64
	}{{"sineSeries", "(sin(r) - r) / r³ in r², |r| <= pi/4", sineSeries}, {"cosineSeries", "(cos(r) - 1 + r²/2) / r⁴ in r², |r| <= pi/4", cosineSeries}} {
		text += fmt.Sprintf("\n// %s: %s.\nvar %s = [...]float64{", x.name, x.doc, x.name)
		for _, c := range x.c {
			text += fmt.Sprintf("%x, ", c)
		}
		text += "}\n"
	}
	return text
}
