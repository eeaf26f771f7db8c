package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// scatterer adds slices or elements of y into zeros at indices along an axis,
// in the order of the indices, so that the sum is always the same. Indices out
// of range are left out.
//
//	y [outer, m, inner]   x [outer, n, inner]   indices [m], or [outer, m, inner] if along
type scatterer struct {
	b                  *Backend
	along              bool
	y, x               vec
	idx                indices
	sum                []float32 // x in float32
	outer, m, n, inner int
}

func scatterOp(along bool) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.ScatterAttr)
		ok = ok && len(in) == 2 && isIndex(in[1]) && stored(in[0].DType) && in[0].DType == out[0].DType
		return kernel{
			scratch: func(_ any, _, out []ir.Type) int64 {
				if out[0].DType == ir.F32 {
					return 0
				}
				return 4 * int64(out[0].Elems())
			},
			bind: func(args kernels.Args) (kernels.Step, error) {
				vs, err := b.views(args.In[0], args.In[1], args.Out[0])
				if err != nil {
					return nil, err
				}
				s := &scatterer{b: b, along: along, y: vs[0], idx: indices{vec: vs[1]}, x: vs[2]}
				s.outer, s.n, s.inner = kernels.Around(args.Out[0].Shape, a.Axis)
				if s.outer*s.n*s.inner == 0 {
					return b.step(0, nil), nil
				}
				s.m = s.y.n / (s.outer * s.inner)
				if s.x.dtype == ir.F32 {
					s.sum = s.x.f32()
				} else if s.sum, err = b.scratch(args, s.x.n); err != nil {
					return nil, err
				}
				return b.step(s.outer*parts(s.inner, scatterWidth), s.part), nil
			},
		}, ok
	}
}

// scatterWidth is how many neighbouring elements one part adds up.
const scatterWidth = 256

func (s *scatterer) part(worker, id int) {
	blocks := parts(s.inner, scatterWidth)
	o := id / blocks
	lo, hi := span(id%blocks, s.inner, scatterWidth)
	for k := range s.n {
		clear(s.sum[(o*s.n+k)*s.inner+lo : (o*s.n+k)*s.inner+hi])
	}
	buf := s.b.local[worker][:scatterWidth]
	for j := range s.m {
		at := (o*s.m + j) * s.inner
		from := s.y.tile(buf, at+lo, hi-lo)
		if s.along {
			for e, v := range from {
				if k := s.idx.get(at + lo + e); k >= 0 && k < s.n {
					s.sum[(o*s.n+k)*s.inner+lo+e] += v
				}
			}
		} else if k := s.idx.get(j); k >= 0 && k < s.n {
			to := s.sum[(o*s.n+k)*s.inner+lo:]
			for e, v := range from {
				to[e] += v
			}
		}
	}
	if s.x.dtype == ir.F32 {
		return
	}
	for k := range s.n {
		at := (o*s.n+k)*s.inner + lo
		s.x.store(at, s.sum[at:at+hi-lo])
	}
}
