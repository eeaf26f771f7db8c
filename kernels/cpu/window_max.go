package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// windowMaximum is the greatest elements of windows along an axis.
type windowMaximum struct {
	axisMap
	op.WindowMaxAttr
	where []int32
}

func windowMaxOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.WindowMaxAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{scratch: widened, bind: func(args kernels.Args) (kernels.Step, error) {
		m, err := newAxisMap(b, args, a.Axis)
		if err != nil {
			return nil, err
		}
		w := &windowMaximum{axisMap: *m, WindowMaxAttr: a}
		w.reach = func(o int) (lo, hi int) { lo, hi, _ = a.Window(o, w.n, w.size); return lo, hi }
		w.fill, w.alone = w.greatest, w.greatestOne
		if !a.Where {
			return w.steps(args)
		}
		where, err := b.view(args.Out[1])
		if err != nil || w.y.n == 0 {
			return b.step(0, nil), err
		}
		w.where = slice[int32](where)
		perPart := max(1, grain/(w.size*w.inner))
		return b.step(parts(w.outer, perPart), func(_, id int) {
			lo, hi := span(id, w.outer, perPart)
			for ; lo < hi; lo++ {
				w.search(lo)
			}
		}), nil
	}}, ok
}

// greatest takes the greater of two again and again; the first of equal ones stays.
func (w *windowMaximum) greatest(y, x []float32, ld, o, first int, _ []int) {
	lo, hi, step := w.Window(o, w.n, w.size)
	copy(y, x[(lo-first)*ld:])
	for lo += step; lo < hi; lo += step {
		w.b.asm.Max(y, x[(lo-first)*ld:][:len(y)], y)
	}
}

func (w *windowMaximum) greatestOne(x []float32, o int) float32 {
	lo, hi, step := w.Window(o, w.n, w.size)
	best := x[lo]
	for lo += step; lo < hi; lo += step {
		if v := x[lo]; v > best || v != v {
			best = v
		}
	}
	return best
}

// search finds the greatest elements of a row and where they are.
func (w *windowMaximum) search(row int) {
	for o := range w.size {
		first, hi, step := w.Window(o, w.n, w.size)
		for e := range w.inner {
			from, at := row*w.n*w.inner+e, first
			best := w.x.one(from + first*w.inner)
			for j := first + step; j < hi; j += step {
				if v := w.x.one(from + j*w.inner); v > best || v != v {
					best, at = v, j
				}
			}
			i := (row*w.size+o)*w.inner + e
			w.y.set(i, best)
			w.where[i] = int32(at)
		}
	}
}
