package cpu

import (
	"context"
	"slices"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// elementwise computes an expression, a tile at a time, on a stack of tiles.
func elementwise(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	words, ok := b.expressionOf(attr, in, out)
	return kernel{inPlace: sameType(in, out), alike: true, bind: func(a kernels.Args) (kernels.Step, error) {
		e, err := b.bindExpression(words, a.In, a.Out, a.Out[0].Shape)
		if err != nil {
			return nil, err
		}
		return e.ys[0].tiled(e.tile), nil
	}}, ok
}

// elementwiseSum adds up an expression: the tiles of each part of the elements,
// in order, then the parts, in float64, so that the shape alone says in which
// order.
func elementwiseSum(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	words, ok := b.expressionOf(attr, in, out)
	return kernel{
		scratch: func(_ any, in, _ []ir.Type) int64 {
			var shape []int
			for _, t := range in {
				shape = repeated(shape, t.Sizes())
			}
			return 8 * int64(parts(prod(shape), grain))
		},
		bind: func(a kernels.Args) (kernels.Step, error) {
			var shape []int
			for _, t := range a.In {
				shape = repeated(shape, t.Shape)
			}
			return b.bindSum(words, a, shape)
		},
	}, ok
}

// repeated is the shape that two shapes repeat to, by the rules of NumPy.
func repeated(a, b []int) []int {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, n := range b {
		if at := len(a) - len(b) + i; n != 1 {
			out[at] = n
		}
	}
	return out
}

func (b *Backend) bindSum(words []word, a kernels.Args, shape []int) (kernels.Step, error) {
	e, err := b.bindExpression(words, a.In, nil, shape)
	if err != nil {
		return nil, err
	}
	y, err := b.view(a.Out[0])
	if err != nil {
		return nil, err
	}
	n := prod(shape)
	count := parts(n, grain)
	space, err := b.scratch(a, 2*count)
	if err != nil {
		return nil, err
	}
	sums := unsafe.Slice((*float64)(unsafe.Pointer(&space[0])), count)
	part := b.step(count, func(worker, id int) {
		lo, hi := span(id, n, grain)
		sum := 0.
		for i := lo; i < hi; i += tile {
			local, m := b.local[worker], min(tile, hi-i)
			top := e.compute(local, i, m)
			if top.number {
				x := stackTile(local, maxStack)[:m]
				b.asm.Fill(x, top.x[0])
				top.x = x
			}
			sum += b.asm.Sum(top.x)
		}
		sums[id] = sum
	})
	return sequence(part, func(context.Context) error {
		all := 0.
		for _, s := range sums {
			all += s
		}
		y.set(0, float32(all))
		return nil
	}), nil
}

// actOp applies an activation function.
func actOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	if !ok || a.Fn == "" || len(in) != 1 || !stored(in[0].DType) || in[0].DType != out[0].DType {
		return nil, false
	}
	f, ok := b.actOf(a)
	if !ok {
		return nil, false
	}
	return mapKernel(b, fn1[float32](f), b.streamOf(a.Fn), in, out), true
}
