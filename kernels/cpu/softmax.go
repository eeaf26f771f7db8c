package cpu

import (
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// softmax is exp(x - m) / sum(exp(x - m)) along an axis, with m the greatest
// element; or its logarithm, x - m - ln(sum).
type softmax struct {
	b        *Backend
	log      bool
	stream   bool // y is written past the caches; it is where nothing else is kept in y
	x, y     vec
	n, inner int // x, y [outer, n, inner]
}

func softmaxOp(log bool) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.AxisAttr)
		ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
		return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
			vs, err := b.views(args.In[0], args.Out[0])
			if err != nil {
				return nil, err
			}
			s := &softmax{b: b, log: log, x: vs[0], y: vs[1]}
			var outer int
			outer, s.n, s.inner = kernels.Around(args.In[0].Shape, a.Axis)
			if s.x.n == 0 {
				return b.step(0, nil), nil
			}
			if s.inner > 1 {
				return b.step(outer*parts(s.inner, across), s.columns), nil
			}
			s.stream = b.streams(s.y, s.n, s.x) && (log || s.n <= mostKept)
			if s.stream && !log && s.x.dtype == ir.F32 {
				perPart := max(1, streamPart/s.n)
				return b.step(parts(outer, perPart), func(worker, id int) {
					lo, hi := span(id, outer, perPart)
					s.rows(b.local[worker], lo, hi)
				}), nil
			}
			return b.rowParts(outer, s.n, grain/4, s.stream, s.row), nil
		}}, ok
	}
}

// mostKept is how many exponentials a worker keeps.
const mostKept = localFloats/2 - 2*tile

// row computes the row that begins at element at. Exponentials are kept by the
// worker, or in the result, or computed again if that is narrow.
func (s *softmax) row(local []float32, at int) {
	bx, by := local[:tile], local[tile:2*tile]
	f := &s.b.asm.Vector
	m, sum := float32(math.Inf(-1)), 0.
	for i := 0; i < s.n; i += tile { // a NaN makes every result NaN, whatever m is
		m = max(m, f.Highest(s.x.tile(bx, at+i, min(tile, s.n-i))))
	}
	var kept []float32
	switch {
	case s.log:
	case s.n <= mostKept:
		kept = local[2*tile : 2*tile+s.n]
	case s.y.dtype == ir.F32:
		kept = s.y.f32()[at : at+s.n]
	}
	for i := 0; i < s.n; i += tile {
		x := s.x.tile(bx, at+i, min(tile, s.n-i))
		e := by[:len(x)]
		if kept != nil {
			e = kept[i : i+len(x)]
		}
		sum += f.SumExp(e, x, m)
	}
	shift, scale := float32(math.Log(sum)), float32(1/sum)
	center, times := f.Center, f.MulS
	if s.stream {
		center, times = f.Stream.Center, f.Stream.MulS
	}
	for i := 0; i < s.n; i += tile {
		n := min(tile, s.n-i)
		y := s.y.room(by, at+i, n)
		switch {
		case s.log:
			center(y, s.x.tile(bx, at+i, n), m, shift, 1)
		case kept != nil:
			times(y, kept[i:i+n], scale)
		default:
			f.SumExp(y, s.x.tile(bx, at+i, n), m)
			f.MulS(y, y, scale)
		}
		s.y.done(y, at+i)
	}
}

// rows computes rows lo to hi-1, past the caches: while the exponentials of one
// are computed, the results of the row before are on their way to memory, and
// the next row comes from there.
func (s *softmax) rows(local []float32, lo, hi int) {
	f := &s.b.asm.Vector
	x, y := s.x.f32(), s.y.f32()
	kept := [2][]float32{local[:s.n], local[localFloats/2:][:s.n]}
	scale := float32(0)
	for r := lo; r < hi; r++ {
		at := r * s.n
		next := min(r+1, hi-1) * s.n
		m, sum := float32(math.Inf(-1)), 0.
		for i := 0; i < s.n; i += tile {
			m = max(m, f.Highest(x[at+i:at+min(i+tile, s.n)]))
		}
		e, before := kept[r%2], kept[(r+1)%2]
		for i := 0; i < s.n; i += tile {
			j := min(i+tile, s.n)
			if r == lo {
				sum += f.SumExp(e[i:j], x[at+i:at+j], m)
				continue
			}
			sum += f.Stream.SumExp(e[i:j], x[at+i:at+j], m, y[at-s.n+i:at-s.n+j], before[i:j], scale, x[next+i:next+j])
		}
		scale = float32(1 / sum)
	}
	at := (hi - 1) * s.n
	for i := 0; i < s.n; i += tile {
		j := min(i+tile, s.n)
		f.Stream.MulS(y[at+i:at+j], kept[(hi-1)%2][i:j], scale)
	}
	f.Stream.Fence()
}

// columns computes neighbouring columns of one outer index.
func (s *softmax) columns(worker, id int) {
	local := s.b.local[worker]
	f := &s.b.asm.Vector
	blocks := parts(s.inner, across)
	lo, hi := span(id%blocks, s.inner, across)
	base, width := id/blocks*s.n*s.inner+lo, hi-lo
	bx, by := local[:tile], local[tile:2*tile]
	m, last, e := local[2*tile:2*tile+width], local[3*tile:3*tile+width], local[4*tile:4*tile+width]
	sum := unsafe.Slice((*float64)(unsafe.Pointer(&local[6*tile])), width)
	clear(sum)
	f.Fill(m, float32(math.Inf(-1)))
	for k := range s.n {
		f.Max(m, m, s.x.tile(bx, base+k*s.inner, width))
	}
	for k := range s.n {
		f.Sub(e, s.x.tile(bx, base+k*s.inner, width), m)
		f.Exp(e, e)
		f.SumInto(sum, e)
	}
	for i, v := range sum {
		if s.log {
			last[i] = float32(math.Log(v))
		} else {
			last[i] = float32(1 / v)
		}
	}
	for k := range s.n {
		at := base + k*s.inner
		y := s.y.room(by, at, width)
		f.Sub(y, s.x.tile(bx, at, width), m)
		if s.log {
			f.Sub(y, y, last)
		} else {
			f.Exp(y, y)
			f.Mul(y, y, last)
		}
		s.y.done(y, at)
	}
}
