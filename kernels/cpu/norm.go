package cpu

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// norm computes y = (x - center) * scale * w + bias over the last axis.
type norm struct {
	b          *Backend
	x, w, c, y vec // w and c may be left out
	dim        int
	eps        float64
	center     bool
	plusOne    bool
	stream     bool // y is written past the caches
}

// rmsNorm computes y = x / sqrt(mean(x²) + eps) * w.
//
//	x, y [rows, dim]   w [dim]
//
// Source: arXiv:1910.07467.
func rmsNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RMSNormAttr)
	return norm{b: b, eps: a.Eps, plusOne: a.PlusOne}.kernel(in, out, ok && len(in) == 2)
}

// layerNorm computes y = (x - mean(x)) / sqrt(var(x) + eps) * w + b.
//
//	x, y [rows, dim]   w, b [dim]
//
// Source: arXiv:1607.06450.
func layerNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LayerNormAttr)
	want := 1
	if a.Affine {
		want = 3
	}
	return norm{b: b, eps: a.Eps, center: true}.kernel(in, out, ok && len(in) == want)
}

func (s norm) kernel(in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{bind: s.bind, inPlace: func(i int) bool { return i == 0 && in[0].Equal(out[0]) }}, ok && in[0].DType == out[0].DType
}

func (s norm) bind(a kernels.Args) (kernels.Step, error) {
	vs, err := s.b.views(append(a.In, a.Out[0])...)
	if err != nil {
		return nil, err
	}
	n, dim := rows(a.In[0].Shape)
	s.x, s.y, s.dim = vs[0], vs[len(a.In)], dim
	for i, v := range vs[1:len(a.In)] {
		if v.n != dim {
			return nil, fmt.Errorf("weight %d has %d elements, want %d", i, v.n, dim)
		}
	}
	if len(a.In) > 1 {
		s.w = vs[1]
	}
	if len(a.In) > 2 {
		s.c = vs[2]
	}
	if s.x.n == 0 {
		return s.b.step(0, nil), nil
	}
	s.stream = s.b.streams(s.y, dim, s.x)
	if s.stream && s.x.dtype == ir.F32 && (s.center || s.w.there()) {
		perPart := max(1, streamPart/dim)
		return s.b.step(parts(n, perPart), func(worker, id int) {
			lo, hi := span(id, n, perPart)
			s.rows(s.b.local[worker], lo, hi)
		}), nil
	}
	return s.b.rowParts(n, dim, grain, s.stream, s.row), nil
}

// row normalises the row that begins at element at. Sums are taken in float64.
func (s *norm) row(local []float32, at int) {
	bx, by, bw, bc := local[:tile], local[tile:2*tile], local[2*tile:3*tile], local[3*tile:4*tile]
	m := s.moments(bx, at)
	for i := 0; i < s.dim; i += tile {
		n := min(tile, s.dim-i)
		x := s.x.tile(bx, at+i, n)
		y := s.y.room(by, at+i, n)
		var w, c []float32
		if s.w.there() {
			w = s.weight(bw, i, n)
		}
		if s.c.there() {
			c = s.c.tile(bc, i, n)
		}
		s.scale(y, x, w, c, m)
		s.y.done(y, at+i)
	}
}

// rows computes rows lo to hi-1, of f32, past the caches: while one is summed as
// it comes from memory, the row before goes there.
func (s *norm) rows(local []float32, lo, hi int) {
	f := &s.b.asm.Vector.Stream
	x, y := s.x.f32(), s.y.f32()
	bw, bc := local[:tile], local[tile:2*tile]
	var w, c []float32
	m := s.moments(nil, lo*s.dim)
	for r := lo; r < hi; r++ {
		at, last := r*s.dim, r == hi-1
		var shift, sum, squares float64
		if !last && s.center {
			shift = float64(x[at+s.dim])
		}
		for i := 0; i < s.dim; i += tile {
			j := min(i+tile, s.dim)
			if s.w.there() {
				w = s.weight(bw, i, j-i)
			}
			if s.c.there() {
				c = s.c.tile(bc, i, j-i)
			}
			before, out := x[at+i:at+j], y[at+i:at+j]
			if last {
				s.scale(out, before, w, c, m)
				continue
			}
			next := x[at+s.dim+i : at+s.dim+j]
			var first, second float64
			switch {
			case !s.center:
				second = f.Squares(next, out, before, w, m.scale)
			case w == nil:
				first, second = f.MomentsCenter(next, shift, out, before, m.high, m.low, m.scale)
			default:
				first, second = f.Moments(next, shift, out, before, w, c, m.high, m.low, m.scale)
			}
			sum, squares = sum+first, squares+second
		}
		m = s.momentsOf(shift, sum, squares)
	}
	f.Fence()
}

// moments are the mean of a row, in two parts, 0 unless it is centred, and what
// it is then multiplied by.
type moments struct{ high, low, scale float32 }

// moments gives those of the row that begins at element at. Both sums are taken
// in one pass, of differences from the first element: since var(x) >= (x[0] -
// mean)²/dim, what cancels is at most dim times what stays, which float64 has
// room for.
func (s *norm) moments(buf []float32, at int) moments {
	f := &s.b.asm.Vector
	var shift, sum, squares float64
	if s.center {
		shift = float64(s.x.one(at))
	}
	for i := 0; i < s.dim; i += tile {
		x := s.x.tile(buf, at+i, min(tile, s.dim-i))
		if !s.center {
			squares += f.Squares(x)
			continue
		}
		first, second := f.Moments(x, shift)
		sum, squares = sum+first, squares+second
	}
	return s.momentsOf(shift, sum, squares)
}

// momentsOf makes moments of the sums of x - shift and of its squares.
func (s *norm) momentsOf(shift, sum, squares float64) moments {
	n := float64(s.dim)
	if !s.center {
		return moments{scale: float32(1 / math.Sqrt(squares/n+s.eps))}
	}
	mean := sum / n
	high := float32(shift + mean)
	return moments{high, float32(shift + mean - float64(high)), float32(1 / math.Sqrt(max(squares/n-mean*mean, 0)+s.eps))}
}

// scale is y = ((x - high) - low) * scale * w + c, where w and c may be nil.
func (s *norm) scale(y, x, w, c []float32, m moments) {
	f := &s.b.asm.Vector
	last := f.Stream
	if !s.stream {
		last.Center, last.MulS, last.ScaleMul, last.Normalize = f.Center, f.MulS, f.ScaleMul, f.Normalize
	}
	switch {
	case !s.center && w == nil:
		last.MulS(y, x, m.scale)
	case !s.center:
		last.ScaleMul(y, x, w, m.scale)
	case w == nil:
		last.Center(y, x, m.high, m.low, m.scale)
	default:
		last.Normalize(y, x, w, c, m.high, m.low, m.scale)
	}
}

// weight is w from element i on, or 1 + w.
func (s *norm) weight(buf []float32, i, n int) []float32 {
	w := s.w.tile(buf, i, n)
	if s.plusOne {
		s.b.asm.AddS(buf[:n], w, 1)
		return buf[:n]
	}
	return w
}
