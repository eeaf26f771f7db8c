package main

import (
	"fmt"
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// maps are the functions of one row, element by element.
var maps = []struct {
	name   string
	unroll int
	f      func(s isa, x VecVirtual) VecVirtual
}{
	{"Exp", 1, expOf}, {"Expm1", 1, expm1Of}, {"Log", 1, logOf}, {"Tanh", 1, tanhOf}, {"Sigmoid", 1, sigmoidOf}, {"Erf", 1, erfOf},
	{"Silu", 1, siluOf}, {"GeluTanh", 1, geluTanhOf}, {"QuickGelu", 1, quickGeluOf},
	{"Softplus", 1, softplusOf}, {"Mish", 1, mishOf},
	{"Sqrt", 1, sqrtOf}, {"Rsqrt", 1, rsqrtOf}, {"Neg", 4, negOf}, {"Abs", 4, absOf}, {"Floor", 4, floorOf}, {"Sign", 4, signOf},
	{"RoundBF16", 1, roundBF16Of}, {"RoundF16", 1, roundF16Of},
}

// joins are the functions of two rows, or of a row and a number.
var joins = []struct {
	name    string
	f       func(s isa, a, b VecVirtual) VecVirtual
	numbers []string // names with a number as second and as first operand
}{
	{"Add", isa.addOf, []string{"AddS"}},
	{"Sub", isa.subOf, []string{"SubS", "SSub"}},
	{"Mul", isa.mulOf, []string{"MulS"}},
	{"Div", isa.divOf, []string{"DivS", "SDiv"}},
	{"Max", isa.maxOf, []string{"MaxS"}},
	{"Min", isa.minOf, []string{"MinS"}},
	{"Leaky", isa.leakyOf, []string{"LeakyS"}},
}

func (s isa) addOf(a, b VecVirtual) VecVirtual { return s.add(a, b) }
func (s isa) subOf(a, b VecVirtual) VecVirtual { return s.sub(a, b) }
func (s isa) mulOf(a, b VecVirtual) VecVirtual { return s.mul(a, b) }
func (s isa) divOf(a, b VecVirtual) VecVirtual { return s.div(a, b) }
func (s isa) maxOf(a, b VecVirtual) VecVirtual { return s.extreme(VMAXPS, a, b) }
func (s isa) minOf(a, b VecVirtual) VecVirtual { return s.extreme(VMINPS, a, b) }

// leakyOf is a below zero times b, and a elsewhere.
func (s isa) leakyOf(a, b VecVirtual) VecVirtual { return s.pick(less, a, s.c(0), s.mul(a, b), a) }

// extreme is the one of a and b that f gives; NaN if either is; b if they are
// equal.
func (s isa) extreme(f ops, a, b VecVirtual) VecVirtual {
	v := s.reg()
	f(b, a, v)
	return s.pick(unordered, a, a, a, v)
}

// begin starts a function over rows and returns the registers of its slices,
// and the length of the first.
func (s isa) begin(name, signature, doc string, slices ...string) (base []Register, n Register) {
	if s.stream {
		name, doc = "Stream"+name, doc+", past the caches"
	}
	TEXT(name+s.suffix, NOSPLIT, signature)
	Doc(fmt.Sprintf("%s%s is %s.", name, s.suffix, doc))
	Pragma("noescape")
	if s.bytes == 64 {
		s.hold(s.held.most)
	}
	for _, p := range slices {
		base = append(base, Load(Param(p).Base(), GP64()))
	}
	return base, Load(Param(slices[0]).Len(), GP64())
}

func (s isa) end() {
	VZEROUPPER()
	RET()
	s.release()
}

// number is a parameter in every lane.
func (s isa) number(name string) VecVirtual {
	v := s.reg()
	VBROADCASTSS(where(Param(name)), v)
	return v
}

// where is the memory of a parameter or result. Floats are never moved by Load
// and Store: those write instructions of SSE, and with the upper halves of
// vectors in use each costs more than a hundred cycles.
func where(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// give returns a float64, give32 a float32.
func give(v VecVirtual, name string)   { VMOVSD(v.AsX(), where(Return(name))) }
func give32(v VecVirtual, name string) { VMOVSS(v.AsX(), where(Return(name))) }

func (s isa) mapping(name string, unroll int, f func(s isa, x VecVirtual) VecVirtual) {
	p, n := s.begin(name, "func(y, x []float32)", "the Map "+name, "y", "x")
	s.each(n, unroll, func(ls []lane) {
		for _, l := range ls {
			l.store(f(s, l.load(p[1])), p[0])
		}
	})
	s.end()
}

func (s isa) join(name string, f func(s isa, a, b VecVirtual) VecVirtual) {
	p, n := s.begin(name, "func(y, a, b []float32)", "the Join "+name, "y", "a", "b")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			l.store(f(s, l.load(p[1]), l.load(p[2])), p[0])
		}
	})
	s.end()
}

func (s isa) joinNumber(name string, first bool, f func(s isa, a, b VecVirtual) VecVirtual) {
	p, n := s.begin(name, "func(y, a []float32, b float32)", "the JoinNumber "+name, "y", "a")
	b := s.number("b")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			x := l.load(p[1])
			if first {
				l.store(f(s, b, x), p[0])
			} else {
				l.store(f(s, x, b), p[0])
			}
		}
	})
	s.end()
}

// scaleMul is y = (x*s)*w.
func (s isa) scaleMul() {
	p, n := s.begin("ScaleMul", "func(y, x, w []float32, s float32)", "y[i] = (x[i]*s) * w[i]", "y", "x", "w")
	f := s.number("s")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			l.store(s.mul(s.mul(l.load(p[1]), f), l.load(p[2])), p[0])
		}
	})
	s.end()
}

// center is y = ((x-high) - low) * s.
func (s isa) center() {
	p, n := s.begin("Center", "func(y, x []float32, high, low, s float32)", "y[i] = ((x[i]-high) - low) * s", "y", "x")
	high, low, f := s.number("high"), s.number("low"), s.number("s")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			l.store(s.mul(s.sub(s.sub(l.load(p[1]), high), low), f), p[0])
		}
	})
	s.end()
}

// mixRows is y = a*s + b*t.
func (s isa) mixRows() {
	p, n := s.begin("MixS", "func(y, a, b []float32, s, t float32)", "y[i] = a[i]*s + b[i]*t", "y", "a", "b")
	f, g := s.number("s"), s.number("t")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			l.store(s.add(s.mul(l.load(p[1]), f), s.mul(l.load(p[2]), g)), p[0])
		}
	})
	s.end()
}

// normalize is y = ((x-high) - low) * s * w + c.
func (s isa) normalize() {
	p, n := s.begin("Normalize", "func(y, x, w, c []float32, high, low, s float32)", "y[i] = fma(((x[i]-high) - low) * s, w[i], c[i])", "y", "x", "w", "c")
	high, low, f := s.number("high"), s.number("low"), s.number("s")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			v := s.mul(s.sub(s.sub(l.load(p[1]), high), low), f)
			w := l.load(p[2])
			VFMADD213PS(l.load(p[3]), w, v)
			l.store(v, p[0])
		}
	})
	s.end()
}

// elu is y = x above 0, else alpha (eˣ - 1).
func (s isa) elu() {
	p, n := s.begin("Elu", "func(y, x []float32, alpha float32)", "y[i] = x[i] > 0 ? x[i] : alpha * (exp(x[i]) - 1)", "y", "x")
	alpha := s.number("alpha")
	s.each(n, 1, func(ls []lane) {
		x := ls[0].load(p[1])
		low := s.mul(expm1Of(s, x), alpha)
		ls[0].store(s.pick(greater, x, s.c(0), x, low), p[0])
	})
	s.end()
}

// gelus is y = gelu(x), with the tables in registers where there are enough.
func (s isa) gelus() {
	most := s.held.most
	s.held.most = 8 // beside the tables
	p, n := s.begin("Gelu", "func(y, x []float32)", "the Map Gelu", "y", "x")
	s.held.most = most
	var tables []Op
	for i := range tailPieces {
		m := NewDataAddr(NewStaticSymbol("pieces"+s.suffix), 64*i)
		if s.bytes < 64 {
			tables = append(tables, m)
			continue
		}
		v := s.reg()
		VMOVUPS(m, v)
		tables = append(tables, v)
	}
	count := 1
	if s.bytes == 64 {
		count = 2
	}
	s.each(n, count, func(ls []lane) {
		x := make([]VecVirtual, len(ls))
		for i, l := range ls {
			x[i] = l.load(p[1])
		}
		for i, y := range s.gelu(tables, x) {
			ls[i].store(y, p[0])
		}
	})
	s.end()
	if s.stream {
		return
	}
	GLOBL("pieces"+s.suffix, RODATA|NOPTR)
	for i, row := range tailPieces {
		for k, c := range row {
			DATA(64*i+4*k, U32(math.Float32bits(c)))
		}
	}
}

// fill is y = v.
func (s isa) fill() {
	p, n := s.begin("Fill", "func(y []float32, v float32)", "y[i] = v", "y")
	v := s.number("v")
	s.each(n, 4, func(ls []lane) {
		for _, l := range ls {
			l.store(v, p[0])
		}
	})
	s.end()
}

// streams are the functions that there are past the caches as well.
var streams = []string{"Exp", "Silu", "GeluTanh", "Add", "Mul", "MulS", "ScaleMul", "Center", "Normalize", "Gelu", "Copy", "SumExp", "Squares", "Moments", "MomentsCenter"}

func (s isa) streaming() {
	s.stream = true
	for _, m := range maps {
		if slices.Contains(streams, m.name) {
			s.mapping(m.name, m.unroll, m.f)
		}
	}
	s.join("Add", isa.addOf)
	s.join("Mul", isa.mulOf)
	s.joinNumber("MulS", false, isa.mulOf)
	s.scaleMul()
	s.center()
	s.normalize()
	s.gelus()
	s.mapping("Copy", 4, func(_ isa, x VecVirtual) VecVirtual { return x })
	s.sumExp()
	s.besides()
	TEXT("Fence"+s.suffix, NOSPLIT, "func()")
	Doc("Fence" + s.suffix + " lets other threads see what was written past the caches.")
	SFENCE()
	RET()
}

// vectors writes all functions over rows.
func (s isa) vectors() {
	for _, m := range maps {
		s.mapping(m.name, m.unroll, m.f)
	}
	for _, j := range joins {
		s.join(j.name, j.f)
		for i, name := range j.numbers {
			s.joinNumber(name, i == 1, j.f)
		}
	}
	s.scaleMul()
	s.center()
	s.normalize()
	s.mixRows()
	s.elu()
	s.gelus()
	s.fill()
	s.reductions()
	s.weigh()
	s.conversions()
	s.circle()
	s.turns()
	s.streaming()
	s.writePool()
	s.writePool64()
}

// vectorNames lists the fields of asm.Vector.
func vectorNames() []string {
	var out []string
	for _, m := range maps {
		out = append(out, m.name)
	}
	for _, j := range joins {
		out = append(append(out, j.name), j.numbers...)
	}
	return append(out, "ScaleMul", "Center", "Normalize", "MixS", "Elu", "Gelu", "Fill",
		"Sum", "SumSquares", "Squares", "Moments", "SumExp", "Weigh", "Highest", "Greatest", "Least", "SumInto", "SquaresInto",
		"WidenBF16", "WidenF16", "NarrowBF16", "NarrowF16", "WidenQ8", "SinNear", "CosNear", "Rotations", "Turn", "TurnPairs")
}
