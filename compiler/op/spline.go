package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// RationalSplineAttr describes a monotonic spline.
type RationalSplineAttr struct {
	Bound   float64 `cue:"bound: number & >0 | *5" doc:"the outermost knots are at -bound and bound, for x and y alike; beyond them y = x"`
	Scale   float64 `cue:"scale: number & >0 | *1" doc:"factor of the logits of widths and heights"`
	Least   float64 `cue:"least: number & >0 & <1 | *1e-3" doc:"least share of a width or a height, and least slope"`
	Inverse bool    `cue:"inverse: bool | *false" doc:"x is what the spline gives, and y where it gives it"`
}

// splineBins is how many bins numbers [..., 3 bins - 1] describe.
func splineBins(numbers ir.Type) int { return (lastDim(numbers).N + 1) / 3 }

// rationalSpline: x [...], numbers [..., 3 bins - 1] -> y, log_slope as x.
//
// Numbers are logits of the bins' widths, logits of their heights, and, before softplus, the slopes at the
// knots between them; at the outermost knots the slope is 1. Within a bin of width w and height h that begins at
// (x0, y0), with the slopes s0 and s1 at its ends, d = h/w, t = (x - x0)/w and u = t (1 - t),
//
//	y = y0 + h (d t² + s0 u) / (d + (s0 + s1 - 2d) u)
//	slope = d² (s1 t² + 2d u + s0 (1-t)²) / (d + (s0 + s1 - 2d) u)²
//
// Inverse solves the first for t, a quadratic equation; log_slope is then that of the inverse.
//
// Source: arXiv:1906.04032, section 3.1, with the bounds of its authors' code.
func rationalSpline() Def {
	c := func(name string, at RationalSplineAttr, low, high float64, bins int, sizes ...int) Case {
		return Case{Name: name, In: f32s(sizes, append(sizes[:len(sizes):len(sizes)], 3*bins-1)), Attr: at, Low: low, High: high, Bounds: map[int][2]float64{1: {-1, 1}}, Tol: 2e-5, GradTol: 1e-5}
	}
	at := RationalSplineAttr{Bound: 2, Scale: 0.5, Least: 1e-3}
	back := at
	back.Inverse = true
	big := c("large", RationalSplineAttr{Bound: 5, Scale: 0.1, Least: 1e-3}, -5, 5, 10, 16, 120)
	big.Large = true
	return Def{Name: "rational_spline", Title: "RationalSpline", Attr: RationalSplineAttr{}, Outputs: []string{"y", "log_slope"},
		Doc: "y, log_slope = x bent by a monotonic spline of rational functions of second degree between knots, and the logarithm of its slope there.",
		Ports: []Port{{Name: "x", Doc: "the operand"},
			{Name: "numbers", Doc: "x's axes and 3 bins - 1: logits of the bins' widths and of their heights, and the slopes at the inner knots before softplus"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at, x, n := attr.(RationalSplineAttr), in[0], in[1]
			if err := first(wantFloat("x", x), wantFloat("numbers", n), wantRank("numbers", n, "[..., 3 bins - 1]", x.Rank()+1), wantKnown("numbers", n, n.Rank()-1)); err != nil {
				return nil, err
			}
			for i, d := range x.Shape {
				if n.Shape[i] != d {
					return nil, fmt.Errorf("x is %s and numbers %s; want the same axes before the last", ir.ShapeString(x.Shape), ir.ShapeString(n.Shape))
				}
			}
			bins := splineBins(n)
			if 3*bins-1 != lastDim(n).N || bins < 2 {
				return nil, fmt.Errorf("numbers has %v along its last axis; want 3 bins - 1, of at least two bins", lastDim(n))
			}
			if !(at.Bound > 0) || !(at.Scale > 0) || !(at.Least > 0 && at.Least*float64(bins) < 1) {
				return nil, fmt.Errorf("bound is %v, scale %v and least %v; want more than 0, and least times the %d bins below 1", at.Bound, at.Scale, at.Least, bins)
			}
			return []ir.Type{x, x}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return b.spline(n.Attr.(RationalSplineAttr), n.In[0], n.In[1])
		},
		Cases: []Case{c("", at, -1.9, 1.9, 5, 3, 17), c("beyond", at, 2.1, 3, 3, 5), c("inverse", back, -1.9, 1.9, 5, 2, 3, 7),
			c("inverse beyond", back, -3, -2.1, 2, 5), big},
	}
}

// splineBin has the numbers of the bin that each element is in, [..., 1].
type splineBin struct{ x0, width, y0, height, steep, s0, s1, bend ir.Value }

// spline writes y and log_slope.
func (b *Builder) spline(at RationalSplineAttr, x, numbers ir.Value) []ir.Value {
	shape := x.Type().Shape
	column := b.Reshape(x, append(shape[:len(shape):len(shape)], ir.D(1))...)
	bound := b.Scalar(at.Bound, x)
	inside := b.Max(b.Min(column, bound), b.Neg(bound))
	bin := b.splineBin(at, inside, b.Cast(numbers, x.Type().DType))
	one := b.Scalar(1, x)
	var t, y ir.Value
	if at.Inverse {
		over := b.Sub(inside, bin.y0)
		turned := b.Mul(over, bin.bend)
		p := b.Add(b.Mul(bin.height, b.Sub(bin.steep, bin.s0)), turned)
		q := b.Sub(b.Mul(bin.height, bin.s0), turned)
		r := b.Neg(b.Mul(bin.steep, over))
		root := b.Sqrt(b.Max(b.Sub(b.Mul(q, q), b.Mul(b.Scalar(4, x), b.Mul(p, r))), b.Scalar(0, x)))
		t = b.Div(b.Add(r, r), b.Neg(b.Add(q, root)))
		y = b.Add(bin.x0, b.Mul(t, bin.width))
	} else {
		t = b.Div(b.Sub(inside, bin.x0), bin.width)
	}
	rest := b.Sub(one, t)
	u := b.Mul(t, rest)
	below := b.Add(bin.steep, b.Mul(bin.bend, u))
	if !at.Inverse {
		y = b.Add(bin.y0, b.Div(b.Mul(bin.height, b.Add(b.Mul(bin.steep, b.Mul(t, t)), b.Mul(bin.s0, u))), below))
	}
	above := b.Add(b.Mul(bin.s1, b.Mul(t, t)), b.Add(b.Mul(b.Add(bin.steep, bin.steep), u), b.Mul(bin.s0, b.Mul(rest, rest))))
	log := b.Sub(b.Log(b.Mul(b.Mul(bin.steep, bin.steep), above)), b.Mul(b.Scalar(2, x), b.Log(below)))
	if at.Inverse {
		log = b.Neg(log)
	}
	within := b.Le(b.Abs(column), bound)
	return []ir.Value{b.Reshape(b.Select(within, y, column), shape...), b.Reshape(b.Select(within, log, b.Scalar(0, x)), shape...)}
}

// splineBin finds the bin of each of inside [..., 1] by the knots of x, or of y for the inverse.
func (b *Builder) splineBin(at RationalSplineAttr, inside, numbers ir.Value) splineBin {
	bins := splineBins(numbers.Type())
	edge := func(value float64) ir.Value { return b.whole(b.Scalar(value, inside), inside.Type().Shape) }
	knots := func(i int) (from, size ir.Value) {
		shares := b.Softmax(b.Mul(b.Slice(numbers, -1, i*bins, (i+1)*bins), b.Scalar(at.Scale, numbers)), -1)
		shares = b.Add(b.Mul(shares, b.Scalar(1-at.Least*float64(bins), shares)), b.Scalar(at.Least, shares))
		inner := b.Slice(b.CumSum(shares, -1), -1, 0, bins-1)
		inner = b.Sub(b.Mul(inner, b.Scalar(2*at.Bound, inner)), b.Scalar(at.Bound, inner))
		from = b.Concat(-1, edge(-at.Bound), inner)
		return from, b.Sub(b.Concat(-1, inner, edge(at.Bound)), from)
	}
	x0, width := knots(0)
	y0, height := knots(1)
	slopes := b.softplus(b.Slice(numbers, -1, 2*bins, 3*bins-1))
	slopes = b.Add(slopes, b.Scalar(at.Least, slopes))
	by := x0
	if at.Inverse {
		by = y0
	}
	reached := b.Cast(b.Ge(inside, by), inside.Type().DType)
	in := b.Sub(reached, b.Concat(-1, b.Slice(reached, -1, 1, bins), edge(0)))
	of := func(v ir.Value) ir.Value { return b.Sum(b.Mul(v, in), true, -1) }
	s := splineBin{x0: of(x0), width: of(width), y0: of(y0), height: of(height),
		s0: of(b.Concat(-1, edge(1), slopes)), s1: of(b.Concat(-1, slopes, edge(1)))}
	s.steep = b.Div(s.height, s.width)
	s.bend = b.Sub(b.Add(s.s0, s.s1), b.Add(s.steep, s.steep))
	return s
}
