package cpu

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// positions is y[b, s] = past[b] + s.
//
//	x ids [batch, seq]   past [batch], optional   y i32 [batch, seq]
func positions(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 2 && len(in[0].Shape) == 2 && out[0].DType == ir.I32 && (in[1].DType == ir.Invalid || isIndex(in[1]))
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		past, y := pastOf(vs[0]), slice[int32](vs[1])
		batch, seq := args.Out[0].Shape[0], args.Out[0].Shape[1]
		return b.step(batch, func(_, r int) {
			start := past.of(r)
			for s := range seq {
				y[r*seq+s] = int32(start + s)
			}
		}), nil
	}}, ok
}

// pasts are the tokens of each sequence before this call, or none.
type pasts struct{ idx indices }

func pastOf(v vec) *pasts { return &pasts{indices{vec: v}} }

func (p *pasts) of(batch int) int {
	if !p.idx.there() {
		return 0
	}
	return p.idx.get(batch)
}

// ropeTable computes cosine and sine of position * frequency, in float64.
//
//	positions [batch, seq]   cos, sin f32 [batch, seq, dim/2]
func ropeTable(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RopeAttr)
	ok = ok && len(in) == 1 && len(out) == 2 && isIndex(in[0]) && out[0].DType == ir.F32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0], args.Out[1])
		if err != nil {
			return nil, err
		}
		freq, scale := a.Frequencies()
		pos, cos, sin := indices{vec: vs[0]}, vs[1].f32(), vs[2].f32()
		perPart := max(1, 256/max(len(freq), 1))
		return b.step(parts(pos.n, perPart), func(_, id int) {
			lo, hi := span(id, pos.n, perPart)
			for i := lo; i < hi; i++ {
				p := float64(pos.get(i))
				for j, f := range freq {
					s, c := math.Sincos(p * f)
					cos[i*len(freq)+j], sin[i*len(freq)+j] = float32(scale*c), float32(scale*s)
				}
			}
		}), nil
	}}, ok
}

// rotate turns pairs (x1, x2) to (x1 cos - x2 sin, x2 cos + x1 sin), which are
// halves of the first Dim elements, or neighbours there.
//
//	x, y [batch, seq, heads, d]   cos, sin [batch, seq, dim/2]
//
// Source: arXiv:2104.09864.
func rotate(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RotateAttr)
	ok = ok && len(in) == 3 && len(in[0].Shape) == 4 && in[0].DType == out[0].DType
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.In[2], args.Out[0])
		if err != nil {
			return nil, err
		}
		shape := args.In[0].Shape
		heads, d := shape[2], shape[3]
		if d < a.Dim || d > maxHead {
			return nil, fmt.Errorf("rotate: a head of %d elements, want %d to %d", d, a.Dim, maxHead)
		}
		x, cos, sin, y := vs[0], vs[1], vs[2], vs[3]
		if x.n == 0 {
			return b.step(0, nil), nil
		}
		n := shape[0] * shape[1]
		perPart := max(1, grain/(heads*d))
		return b.step(parts(n, perPart), func(worker, id int) {
			local := b.local[worker]
			lo, hi := span(id, n, perPart)
			for r := lo; r < hi; r++ {
				c := cos.tile(local[:maxHead], r*a.Dim/2, a.Dim/2)
				s := sin.tile(local[maxHead:2*maxHead], r*a.Dim/2, a.Dim/2)
				for at := r * heads * d; at < (r+1)*heads*d; at += d {
					from := x.tile(local[2*maxHead:3*maxHead], at, d)
					to := y.room(local[3*maxHead:4*maxHead], at, d)
					turn(to, from, c, s, a.Interleaved)
					y.done(to, at)
				}
			}
		}), nil
	}}, ok
}

// maxHead is the most elements a head may have.
const maxHead = 8192

func turn(y, x, cos, sin []float32, interleaved bool) {
	h := len(cos)
	if interleaved {
		for j, c := range cos {
			x1, x2 := x[2*j], x[2*j+1]
			y[2*j], y[2*j+1] = x1*c-x2*sin[j], x2*c+x1*sin[j]
		}
	} else {
		for j, c := range cos {
			x1, x2 := x[j], x[h+j]
			y[j], y[h+j] = x1*c-x2*sin[j], x2*c+x1*sin[j]
		}
	}
	copy(y[2*h:], x[2*h:])
}
