package cpu

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
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

// ropeTable computes cosine and sine of position * frequency, in float64: a row
// of frequencies at a time, filled up with zeros.
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
		n := len(freq)
		full := make([]float64, (n+15)/16*16)
		copy(full, freq)
		far := asm.Far / max(1e-300, slices.Max(append(full, 0)))
		perPart := max(1, 1024/max(n, 1))
		return b.step(parts(pos.n, perPart), func(worker, id int) {
			lo, hi := span(id, pos.n, perPart)
			for i := lo; i < hi; i++ {
				p, c, s := float64(pos.get(i)), cos[i*n:(i+1)*n], sin[i*n:(i+1)*n]
				if math.Abs(p) < far {
					b.angles(b.local[worker], c, s, full, p, scale)
					continue
				}
				for j, f := range freq {
					y, x := math.Sincos(p * f)
					c[j], s[j] = float32(scale*x), float32(scale*y)
				}
			}
		}), nil
	}}, ok
}

// angles writes cosines and sines of position * freq, which has zeros behind
// its end, by way of tiles.
func (b *Backend) angles(local []float32, cos, sin []float32, freq []float64, position, scale float64) {
	for j := 0; j < len(cos); j += tile {
		some := freq[j:min(j+tile, len(freq))]
		c, s := local[:len(some)], local[tile:tile+len(some)]
		b.asm.Rotations(c, s, some, position, scale)
		copy(cos[j:], c)
		copy(sin[j:], s)
	}
}

// rotate turns pairs (x1, x2) to (x1 cos - x2 sin, x2 cos + x1 sin), which are
// halves of the first Dim elements, or neighbours there, or neighbours that become halves.
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
					if a.Apart {
						from = halves(local[4*maxHead:5*maxHead], from, a.Dim)
					}
					b.turn(to, from, c, s, a.Interleaved && !a.Apart)
					y.done(to, at)
				}
			}
		}), nil
	}}, ok
}

// halves returns a copy of x in which the first elements of the pairs, neighbours among the first dim, come
// before the second ones.
func halves(room, x []float32, dim int) []float32 {
	y := room[:len(x)]
	h := dim / 2
	first, second := y[:h], y[h:dim]
	for i := range first {
		first[i], second[i] = x[2*i], x[2*i+1]
	}
	copy(y[dim:], x[dim:])
	return y
}

// maxHead is the most elements a head may have.
const maxHead = 8192

// turn turns the pairs of one head, and copies what is behind them.
func (b *Backend) turn(y, x, cos, sin []float32, interleaved bool) {
	h := len(cos)
	if interleaved {
		b.asm.TurnPairs(cos, sin, y, x)
	} else {
		b.asm.Turn(y[:h], y[h:2*h], x, x[h:], cos, sin)
	}
	if &y[0] != &x[0] {
		copy(y[2*h:], x[2*h:])
	}
}
