package cpu

import (
	"slices"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// reduction is a bound recipe. Axes are kept or gone; the last axis of x is
// walked as runs, either along (it is gone) or across (it is kept).
type reduction struct {
	recipe
	b             *Backend
	x, y          vec
	kept, keptSt  []int // without the last axis
	gone, goneSt  []int // without the last axis
	width         int   // of the last axis
	isAlong       bool
	n, count      int // elements of a sum; repetitions of a run
	outer, blocks int
}

// across is how many neighbouring results a part computes together.
const across = 256

func reduceOp(r recipe) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.ReduceAttr)
		ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return bindReduce(b, r, a, args) }}, ok
	}
}

func bindReduce(b *Backend, rec recipe, a op.ReduceAttr, args kernels.Args) (kernels.Step, error) {
	vs, err := b.views(args.In[0], args.Out[0])
	if err != nil {
		return nil, err
	}
	shape := args.In[0].Shape
	var axes []int
	for _, i := range a.Axes.Slice() {
		axes = append(axes, kernels.Axis(i, len(shape)))
	}
	r := &reduction{recipe: rec, b: b, x: vs[0], y: vs[1], n: 1}
	isGone := func(i int) bool { return a.Axes == "" || slices.Contains(axes, i) }
	shape, gone := joinAxes(shape, isGone)
	st := cStrides(shape)
	last := len(shape) - 1
	r.width, r.isAlong = shape[last], gone[last]
	for i, n := range shape {
		if gone[i] {
			r.n *= n
		}
		switch {
		case i == last:
		case gone[i]:
			r.gone, r.goneSt = append(r.gone, n), append(r.goneSt, st[i])
		default:
			r.kept, r.keptSt = append(r.kept, n), append(r.keptSt, st[i])
		}
	}
	r.gone, r.goneSt = collapse(r.gone, r.goneSt)
	r.kept, r.keptSt = collapse(r.kept, r.keptSt)
	r.outer, r.count = prod(r.kept), prod(r.gone)
	if r.y.n == 0 {
		return b.step(0, nil), nil
	}
	if r.isAlong {
		perPart := max(1, grain/max(r.n, 1))
		return b.step(parts(r.outer, perPart), func(worker, id int) {
			lo, hi := span(id, r.outer, perPart)
			for o := lo; o < hi; o++ {
				r.run(b.local[worker], o, 0, 1)
			}
		}), nil
	}
	r.blocks = parts(r.width, across)
	return b.step(r.outer*r.blocks, func(worker, id int) {
		lo, hi := span(id%r.blocks, r.width, across)
		r.run(b.local[worker], id/r.blocks, lo, hi-lo)
	}), nil
}

// joinAxes takes neighbouring axes that are both gone, or both kept, as one,
// so that runs are long.
func joinAxes(shape []int, isGone func(i int) bool) (sizes []int, gone []bool) {
	for i, n := range shape {
		if k := len(sizes) - 1; k >= 0 && gone[k] == isGone(i) {
			sizes[k] *= n
			continue
		}
		sizes, gone = append(sizes, n), append(gone, isGone(i))
	}
	if len(sizes) == 0 {
		return []int{1}, []bool{true}
	}
	return sizes, gone
}

// run computes width results from column col on of outer index o.
func (r *reduction) run(local []float32, o, col, width int) {
	f := folder{rows: &r.b.asm.Vector, buf: local[tile : 2*tile]}
	space := unsafe.Slice((*float64)(unsafe.Pointer(&local[2*tile])), 2*across)
	acc, aux := space[:width], space[across:across+width]
	base := offset(o, r.kept, r.keptSt) + col
	for i := range acc {
		acc[i] = r.first
	}
	if r.extreme != nil && !r.isAlong {
		r.pick(f, local[:tile], base, acc)
	} else {
		r.pass(f, local[:tile], base, acc, aux, r.along, r.across)
	}
	if r.between != nil {
		for i := range acc {
			aux[i] = r.between(acc[i], r.n)
			acc[i] = 0
		}
		r.pass(f, local[:tile], base, acc, aux, r.along2, r.across2)
	}
	out := local[tile : tile+width]
	for i := range acc {
		out[i] = float32(r.last(acc[i], aux[i], r.n))
	}
	at := o
	if !r.isAlong {
		at = o*r.width + col
	}
	r.y.store(at, out)
}

// pick finds the extreme of each column.
func (r *reduction) pick(f folder, buf []float32, base int, acc []float64) {
	best, join := f.buf[:len(acc)], r.extreme(f.rows)
	f.rows.Fill(best, float32(r.first))
	gone := newWalker(r.gone, r.goneSt, 0)
	for range r.count {
		join(best, best, r.x.tile(buf, base+gone.at, len(acc)))
		gone.next()
	}
	for i, v := range best {
		acc[i] = float64(v)
	}
}

// pass visits the elements that fall together, in C order.
func (r *reduction) pass(f folder, buf []float32, base int, acc, aux []float64, along, across fold) {
	gone := newWalker(r.gone, r.goneSt, 0)
	for range r.count {
		at := base + gone.at
		gone.next()
		if !r.isAlong {
			across(f, acc, aux, r.x.tile(buf, at, len(acc)))
			continue
		}
		for i := 0; i < r.width; i += tile {
			along(f, acc, aux, r.x.tile(buf, at+i, min(tile, r.width-i)))
		}
	}
}

// argmax is the lowest index of the greatest element along an axis.
//
//	x [outer, n, inner]   y i32 [outer, inner]
func argmax(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	if !ok || len(in) != 1 || out[0].DType != ir.I32 {
		return nil, false
	}
	switch d := in[0].DType; {
	case stored(d):
		return argmaxKernel[float32](b, a), true
	case d == ir.I32:
		return argmaxKernel[int32](b, a), true
	case d == ir.I64:
		return argmaxKernel[int64](b, a), true
	}
	return nil, false
}

func argmaxKernel[T number](b *Backend, a op.AxisAttr) kernels.Kernel {
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := input[T]{vec: vs[0]}, slice[int32](vs[1])
		_, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		perPart := max(1, grain/max(n, 1))
		return b.step(parts(len(y), perPart), func(worker, id int) {
			lo, hi := span(id, len(y), perPart)
			buf := tileBuf[T](b.local[worker], 0)
			for i := lo; i < hi; i++ {
				y[i] = int32(x.argmax(buf, i/inner*n*inner+i%inner, n, inner))
			}
		}), nil
	}}
}

// argmax looks at n elements from place i on, step apart.
func (in *input[T]) argmax(buf []T, i, n, step int) int {
	at := 0
	best := in.element(i)
	if step > 1 {
		for k := 1; k < n; k++ {
			if v := in.element(i + k*step); v > best {
				at, best = k, v
			}
		}
		return at
	}
	for k := 0; k < n; k += tile {
		for j, v := range in.read(buf, i+k, min(tile, n-k)) {
			if v > best {
				at, best = k+j, v
			}
		}
	}
	return at
}

// cumsum adds up along an axis, in float64.
//
//	x, y [outer, n, inner]
func cumsum(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		outer, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		if vs[0].n == 0 {
			return b.step(0, nil), nil
		}
		perPart := max(1, grain/n)
		return b.step(parts(outer*inner, perPart), func(_, id int) {
			lo, hi := span(id, outer*inner, perPart)
			for i := lo; i < hi; i++ {
				at, sum := i/inner*n*inner+i%inner, 0.
				for range n {
					sum += float64(vs[0].one(at))
					vs[1].set(at, float32(sum))
					at += inner
				}
			}
		}), nil
	}}, ok
}
