package cpu

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// groupNorm computes y = act((x - mean) / sqrt(var + eps) * w + b), with mean and
// variance over groups of channels.
//
//	x, y [batch, channels, positions]   w, b [channels]
//
// Source: arXiv:1803.08494.
type groupNorm struct {
	b                *Backend
	x, y, w, c       vec
	eps              float64
	groups           int
	share, positions int // channels of a group, and what follows each
	act              unary
}

func groupNormOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GroupNormAttr)
	act, known := b.actOf(op.DefaultAct(a.Act))
	ok = ok && known
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{
		inPlace: func(i int) bool { return i == 0 && in[0].Equal(out[0]) },
		bind: func(args kernels.Args) (kernels.Step, error) {
			vs, err := b.views(append(args.In, args.Out[0])...)
			if err != nil {
				return nil, err
			}
			shape := args.In[0].Shape
			g := &groupNorm{b: b, x: vs[0], y: vs[len(args.In)], eps: a.Eps, groups: a.Groups, share: shape[1] / a.Groups, positions: prod(shape[2:]), act: act}
			if a.Affine {
				g.w, g.c = vs[1], vs[2]
				for i, t := range args.In[1:3] {
					if err := checkWeight([]string{"weight", "bias"}[i], t, shape[1]); err != nil {
						return nil, err
					}
				}
			}
			if g.x.n == 0 {
				return b.step(0, nil), nil
			}
			return b.step(shape[0]*a.Groups, g.group), nil
		},
	}, ok && in[0].DType == out[0].DType
}

// moments are those of one group of one sample. Sums are taken in float64.
func (g *groupNorm) moments(local []float32, id int) moments {
	f, n := &g.b.asm.Vector, g.share*g.positions
	first := id * n
	var mean, sum float64
	for i := 0; i < n; i += tile {
		mean += f.Sum(g.x.tile(local, first+i, min(tile, n-i)))
	}
	mean /= float64(n)
	for i := 0; i < n; i += tile {
		sum += f.SumSquares(g.x.tile(local, first+i, min(tile, n-i)), mean)
	}
	high := float32(mean)
	return moments{high, float32(mean - float64(high)), float32(1 / math.Sqrt(sum/float64(n)+g.eps))}
}

// group normalises one group of one sample.
func (g *groupNorm) group(worker, id int) {
	local, f := g.b.local[worker], &g.b.asm.Vector
	first, m := id*g.share*g.positions, g.moments(local, id)
	for c := range g.share {
		channel := id%g.groups*g.share + c
		for i := 0; i < g.positions; i += tile {
			at, n := first+c*g.positions+i, min(tile, g.positions-i)
			x := g.x.tile(local, at, n)
			y := g.y.room(local[tile:], at, n)
			f.Center(y, x, m.high, m.low, m.scale)
			if g.w.there() {
				f.MulS(y, y, g.w.one(channel))
				f.AddS(y, y, g.c.one(channel))
			}
			if g.act != nil {
				g.act(y, y)
			}
			g.y.done(y, at)
		}
	}
}
