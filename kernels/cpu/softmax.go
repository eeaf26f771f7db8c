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
			outer, s.n, s.inner = around(args.In[0].Shape, a.Axis)
			if s.x.n == 0 {
				return b.step(0, nil), nil
			}
			if s.inner > 1 {
				return b.step(outer*parts(s.inner, across), s.columns), nil
			}
			perPart := max(1, grain/4/s.n)
			return b.step(parts(outer, perPart), func(worker, id int) {
				lo, hi := span(id, outer, perPart)
				for r := lo; r < hi; r++ {
					s.row(b.local[worker], r*s.n)
				}
			}), nil
		}}, ok
	}
}

// row computes the row that begins at element at.
func (s *softmax) row(local []float32, at int) {
	bx, by := local[:tile], local[tile:2*tile]
	var m, sum [1]float64
	m[0] = math.Inf(-1)
	for i := 0; i < s.n; i += tile {
		maxAlong(m[:], nil, s.x.tile(bx, at+i, min(tile, s.n-i)))
	}
	for i := 0; i < s.n; i += tile {
		expsAlong(sum[:], m[:], s.x.tile(bx, at+i, min(tile, s.n-i)))
	}
	for i := 0; i < s.n; i += tile {
		x := s.x.tile(bx, at+i, min(tile, s.n-i))
		y := s.y.room(by, at+i, len(x))
		if s.log {
			shift := m[0] + math.Log(sum[0])
			for j, v := range x {
				y[j] = float32(float64(v) - shift)
			}
		} else {
			scale := 1 / sum[0]
			for j, v := range x {
				y[j] = float32(expAt(v, m[0]) * scale)
			}
		}
		s.y.done(y, at+i)
	}
}

// columns computes neighbouring columns of one outer index.
func (s *softmax) columns(worker, id int) {
	local := s.b.local[worker]
	blocks := parts(s.inner, across)
	lo, hi := span(id%blocks, s.inner, across)
	base, width := id/blocks*s.n*s.inner+lo, hi-lo
	space := unsafe.Slice((*float64)(unsafe.Pointer(&local[2*tile])), 2*across)
	m, sum := space[:width], space[across:across+width]
	for i := range m {
		m[i], sum[i] = math.Inf(-1), 0
	}
	bx, by := local[:tile], local[tile:2*tile]
	for k := range s.n {
		maxAcross(m, nil, s.x.tile(bx, base+k*s.inner, width))
	}
	for k := range s.n {
		expsAcross(sum, m, s.x.tile(bx, base+k*s.inner, width))
	}
	for k := range s.n {
		at := base + k*s.inner
		x := s.x.tile(bx, at, width)
		y := s.y.room(by, at, width)
		for j, v := range x {
			if s.log {
				y[j] = float32(float64(v) - m[j] - math.Log(sum[j]))
			} else {
				y[j] = float32(expAt(v, m[j]) / sum[j])
			}
		}
		s.y.done(y, at)
	}
}
