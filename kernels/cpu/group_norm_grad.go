package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// groupNormGrad computes the gradients of groupNorm. With z the normalised x, g =
// dy w and r what a group is multiplied by,
//
//	dx = r (g - mean(g) - z mean(g z))   dweight = sum(dy z)   dbias = sum(dy)
//
// with means over a group, and sums over the positions of a channel, in float64,
// and then over the batch, in order.
//
//	x, dy, dx [batch, channels, positions]   w, dweight, dbias [channels], or none of them
type groupNormGrad struct {
	groupNorm
	dy, dx, dw, db vec
	batch          int
	sums           []float64 // [batch, channels, 2]: of dy z and of dy
}

func groupNormGradOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GroupNormAttr)
	ok = ok && len(in) == 3 && (len(out) == 1 || len(out) == 3)
	for _, t := range in {
		ok = ok && (stored(t.DType) || t.DType == ir.Invalid)
	}
	return kernel{
		inPlace: func(i int) bool { return i != 1 },
		bind:    func(args kernels.Args) (kernels.Step, error) { return bindGroupNormGrad(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			shape := in[0].Sizes()
			return 16 * int64(shape[0]*shape[1])
		},
	}, ok
}

func bindGroupNormGrad(b *Backend, a op.GroupNormAttr, args kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(args.In, args.Out...)...)
	if err != nil {
		return nil, err
	}
	shape := args.In[0].Shape
	g := &groupNormGrad{groupNorm: groupNorm{b: b, x: vs[0], w: vs[1], eps: a.Eps, groups: a.Groups, share: shape[1] / a.Groups, positions: prod(shape[2:])}, dy: vs[2], dx: vs[3], batch: shape[0]}
	if g.w.there() {
		if err := checkWeight("weight", args.In[1], shape[1]); err != nil {
			return nil, err
		}
	}
	if len(args.Out) > 1 {
		g.dw, g.db = vs[4], vs[5]
	}
	space, err := b.scratch(args, 4*shape[0]*shape[1])
	if err != nil {
		return nil, err
	}
	if len(space) > 0 {
		at := unsafe.Pointer(&space[0])
		if uintptr(at)%8 != 0 {
			return nil, fmt.Errorf("scratch at address ...%x, which is not aligned to 8 bytes", uintptr(at)&0xff)
		}
		g.sums = unsafe.Slice((*float64)(at), 2*shape[0]*shape[1])
	}
	tasks := 0
	if g.x.n > 0 {
		tasks = shape[0] * a.Groups
	} else {
		clear(g.sums)
	}
	run := b.step(tasks, g.group)
	if !g.dw.there() {
		return run, nil
	}
	return sequence(run, b.step(1, func(worker, _ int) { g.join(b.local[worker], shape[1]) })), nil
}

// group computes dx of one group of one sample, and the sums of its channels.
func (g *groupNormGrad) group(worker, id int) {
	local, f := g.b.local[worker], &g.b.asm.Vector
	n := g.share * g.positions
	m := g.moments(local, id)
	first, channels := id*n, g.groups*g.share
	z, t := local[2*tile:3*tile], local[3*tile:4*tile]
	var mean, dot float64
	for c := range g.share {
		channel := id%g.groups*g.share + c
		sums := g.sums[2*(id/g.groups*channels+channel):][:2]
		sums[0], sums[1] = 0, 0
		for i := 0; i < g.positions; i += tile {
			at, n := first+c*g.positions+i, min(tile, g.positions-i)
			dy := g.dy.tile(local[tile:], at, n)
			f.Center(z[:n], g.x.tile(local, at, n), m.high, m.low, m.scale)
			f.Mul(t[:n], dy, z[:n])
			sums[0] += f.Sum(t[:n])
			sums[1] += f.Sum(dy)
		}
		w := g.weight(channel)
		dot += w * sums[0]
		mean += w * sums[1]
	}
	mean, dot = mean/float64(n), dot/float64(n)
	high := float32(mean)
	low := float32(mean - float64(high))
	for c := range g.share {
		w := float32(g.weight(id%g.groups*g.share + c))
		for i := 0; i < g.positions; i += tile {
			at, n := first+c*g.positions+i, min(tile, g.positions-i)
			f.Center(z[:n], g.x.tile(local, at, n), m.high, m.low, m.scale)
			f.MulS(z[:n], z[:n], float32(dot))
			f.MulS(t[:n], g.dy.tile(local[tile:], at, n), w)
			f.Sub(t[:n], t[:n], z[:n])
			dx := g.dx.room(local[4*tile:], at, n)
			f.Center(dx, t[:n], high, low, m.scale)
			g.dx.done(dx, at)
		}
	}
}

// weight is that of a channel, 1 if there is none.
func (g *groupNormGrad) weight(channel int) float64 {
	if !g.w.there() {
		return 1
	}
	return float64(g.w.one(channel))
}

// join adds up the sums of all samples.
func (g *groupNormGrad) join(local []float32, channels int) {
	for lo := 0; lo < channels; lo += tile {
		n := min(tile, channels-lo)
		dw, db := local[:n], local[tile:tile+n]
		for c := range n {
			var first, second float64
			for s := range g.batch {
				at := 2 * (s*channels + lo + c)
				first, second = first+g.sums[at], second+g.sums[at+1]
			}
			dw[c], db[c] = float32(first), float32(second)
		}
		g.dw.store(lo, dw)
		g.db.store(lo, db)
	}
}
