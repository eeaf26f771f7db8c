package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// unfolder copies the elements of windows side by side, or adds them where they came from.
// There are always three spatial axes; those that lack have one element.
//
//	plane [planes, size...]   windows [planes, kernel..., count...]
type unfolder struct {
	b                                *Backend
	plane, windows                   vec
	planes                           int
	size, count                      [3]int
	kernel, stride, before, dilation [3]int
	sum                              []float32 // of fold: the planes in f32
	planeLen, kernelLen, windowsLen  int
}

func unfoldOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.UnfoldAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		u, err := newUnfolder(b, a, args.In[0], args.Out[0])
		if err != nil || u.windows.n == 0 {
			return b.step(0, nil), err
		}
		return b.step(u.planes*u.kernelLen, u.spread), nil
	}}, ok
}

func foldOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.FoldAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && in[0].DType == out[0].DType
	return kernel{
		scratch: func(_ any, _, out []ir.Type) int64 {
			if out[0].DType == ir.F32 {
				return 0
			}
			return 4 * int64(out[0].Elems())
		},
		bind: func(args kernels.Args) (kernels.Step, error) {
			u, err := newUnfolder(b, a.Unfold(), args.Out[0], args.In[0])
			if err != nil || u.plane.n == 0 {
				return b.step(0, nil), err
			}
			if u.sum = nil; u.plane.dtype == ir.F32 {
				u.sum = u.plane.f32()
			} else if u.sum, err = b.scratch(args, u.plane.n); err != nil {
				return nil, err
			}
			return b.step(u.planes, u.gather), nil
		}}, ok
}

func newUnfolder(b *Backend, a op.UnfoldAttr, plane, windows kernels.Tensor) (*unfolder, error) {
	vs, err := b.views(plane, windows)
	if err != nil {
		return nil, err
	}
	n := len(plane.Shape) - 2
	w, err := a.Windows(n)
	if err != nil {
		return nil, err
	}
	u := &unfolder{b: b, plane: vs[0], windows: vs[1], planes: plane.Shape[0] * plane.Shape[1]}
	for i := range 3 {
		u.size[i], u.count[i], u.kernel[i], u.stride[i], u.dilation[i] = 1, 1, 1, 1, 1
		if k := i - (3 - n); k >= 0 {
			u.size[i], u.kernel[i], u.stride[i], u.before[i], u.dilation[i] = plane.Shape[2+k], w.Kernel[k], w.Stride[k], w.Before[k], w.Dilation[k]
			u.count[i] = (u.size[i]+w.Before[k]+w.After[k]-w.Dilation[k]*(w.Kernel[k]-1)-1)/w.Stride[k] + 1
		}
	}
	u.planeLen, u.kernelLen, u.windowsLen = prod(u.size[:]), prod(u.kernel[:]), prod(u.count[:])
	return u, nil
}

// runs calls f for each row of windows along the last axis that lies in the plane along the others:
// with the first window of the row, and the element of the plane at the begin of its row. What f gets
// beside are the windows from lo on, hi excluded, whose element k lies in the plane, and where that of window lo does.
func (u *unfolder) runs(k int, f func(window, row, lo, hi, at int, inside bool)) {
	k0, k1, k2 := k/(u.kernel[1]*u.kernel[2]), k/u.kernel[2]%u.kernel[1], k%u.kernel[2]
	shift := k2*u.dilation[2] - u.before[2]
	lo, hi := 0, 0 // p*stride + shift in [0, size)
	if shift < 0 {
		lo = (-shift + u.stride[2] - 1) / u.stride[2]
	}
	if last := u.size[2] - 1 - shift; last >= 0 {
		hi = min(u.count[2], last/u.stride[2]+1)
	}
	lo = min(lo, hi)
	for p0 := range u.count[0] {
		for p1 := range u.count[1] {
			i, j := p0*u.stride[0]+k0*u.dilation[0]-u.before[0], p1*u.stride[1]+k1*u.dilation[1]-u.before[1]
			inside := i >= 0 && i < u.size[0] && j >= 0 && j < u.size[1] && lo < hi
			f((p0*u.count[1]+p1)*u.count[2], (i*u.size[1]+j)*u.size[2], lo, hi, lo*u.stride[2]+shift, inside)
		}
	}
}

// spread writes one row of windows: element k of all windows of a plane.
func (u *unfolder) spread(_, id int) {
	plane, k := id/u.kernelLen, id%u.kernelLen
	if u.plane.dtype == ir.F32 {
		spreadRow(u, slice[uint32](u.windows)[id*u.windowsLen:][:u.windowsLen], slice[uint32](u.plane)[plane*u.planeLen:][:u.planeLen], k)
	} else {
		spreadRow(u, slice[uint16](u.windows)[id*u.windowsLen:][:u.windowsLen], slice[uint16](u.plane)[plane*u.planeLen:][:u.planeLen], k)
	}
}

func spreadRow[T uint16 | uint32](u *unfolder, to, from []T, k int) {
	u.runs(k, func(window, row, lo, hi, at int, inside bool) {
		y := to[window:][:u.count[2]]
		if !inside {
			clear(y)
			return
		}
		clear(y[:lo])
		clear(y[hi:])
		if x := from[row+at:]; u.stride[2] == 1 {
			copy(y[lo:hi], x)
		} else {
			for p := range hi - lo {
				y[lo+p] = x[p*u.stride[2]]
			}
		}
	})
}

// gather adds the windows of a plane, element by element of the window.
func (u *unfolder) gather(worker, plane int) {
	sum := u.sum[plane*u.planeLen:][:u.planeLen]
	clear(sum)
	buf := u.b.local[worker]
	for k := range u.kernelLen {
		at0 := (plane*u.kernelLen + k) * u.windowsLen
		u.runs(k, func(window, row, lo, hi, at int, inside bool) {
			for inside && lo < hi {
				n := min(hi-lo, len(buf))
				x := u.windows.tile(buf[:n], at0+window+lo, n)
				if to := sum[row+at:]; u.stride[2] == 1 {
					u.b.asm.Add(to[:n], to[:n], x)
				} else {
					for p, v := range x {
						to[p*u.stride[2]] += v
					}
				}
				lo, at = lo+n, at+n*u.stride[2]
			}
		})
	}
	if u.plane.dtype != ir.F32 {
		u.plane.store(plane*u.planeLen, sum)
	}
}
