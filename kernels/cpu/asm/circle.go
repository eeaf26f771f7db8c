package asm

import "math"

// Far is the least angle, in radians, that SinNear, CosNear and Rotations don't
// take.
const Far = float64(circleFar)

// Near is a Map for elements that are not too far from zero: others stay as they
// are, and far is not zero if there are any.
type Near func(y, x []float32) (far uint32)

// Sin is y[i] = sin(x[i]), within 0.5001 ulp.
func (v *Vector) Sin(y, x []float32) { distant(v.SinNear, math.Sin, y, x) }

// Cos is y[i] = cos(x[i]), within 0.5001 ulp.
func (v *Vector) Cos(y, x []float32) { distant(v.CosNear, math.Cos, y, x) }

// distant computes what is too far for f; no result of f is above 1.
func distant(f Near, g func(float64) float64, y, x []float32) {
	if f(y, x) == 0 {
		return
	}
	for i, v := range y {
		if !(abs(v) <= 1) {
			y[i] = float32(g(float64(v)))
		}
	}
}

// near makes a Near of sine, or of the sine of a quarter more.
func near(quarter uint64) Near {
	return func(y, x []float32) (far uint32) {
		for i, v := range x[:len(y)] {
			if abs(v) < circleFar {
				v = float32(turn(float64(v)).part(quarter))
			} else {
				far = 1
			}
			y[i] = v
		}
		return far
	}
}

// turned is an angle x = n pi/2 + r: what its sine and cosine are made of.
type turned struct{ t, sin, cos float64 }

func turn(x float64) turned {
	t := math.FMA(x, 2/math.Pi, circleMagic)
	n := t - circleMagic
	r := math.FMA(-n, quarterLow, math.FMA(-n, quarterHigh, x))
	z := float64(r * r)
	horner := func(c *[6]float64) float64 {
		p := c[5]
		for i := 4; i >= 0; i-- {
			p = math.FMA(p, z, c[i])
		}
		return p
	}
	return turned{t, math.FMA(horner(&sineSeries), float64(r*z), r), math.FMA(horner(&cosineSeries), float64(z*z), math.FMA(z, -0.5, 1))}
}

// part is the sine of the angle and so many quarters more.
func (x turned) part(quarters uint64) float64 {
	n := math.Float64bits(x.t) + quarters
	y := x.sin
	if n&1 == 1 {
		y = x.cos
	}
	return math.Float64frombits(math.Float64bits(y) ^ n<<62&(1<<63))
}

func rotations(cos, sin []float32, freq []float64, position, scale float64) {
	for i, f := range freq[:len(cos)] {
		x := turn(position * f)
		cos[i], sin[i] = float32(x.part(1)*scale), float32(x.part(0)*scale)
	}
}
