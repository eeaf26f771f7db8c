package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// transformer brings frames of a signal to bins, or back.
//
//	x [rows, n]   re, im [rows, bins, frames]
type transformer struct {
	*fourier
	x, re, im       []float32
	rows, n, frames int
	even            []float32 // what the elements of x are multiplied by, if any
	scaled          []float32 // x, multiplied
	own             int       // frames of a part of synthesis, in whose range it writes x
}

func newTransformer(b *Backend, at op.FourierAttr, back bool, x, re, im kernels.Tensor) (*transformer, error) {
	vs, err := b.views(x, re, im)
	if err != nil {
		return nil, err
	}
	t := &transformer{fourier: newFourier(b, at, back), x: vs[0].f32(), re: vs[1].f32(), im: vs[2].f32()}
	t.n, t.frames = x.Shape[len(x.Shape)-1], re.Shape[len(re.Shape)-1]
	t.rows = prod(x.Shape[:len(x.Shape)-1])
	if at.Even {
		for _, v := range at.Evenness(t.frames, t.n) {
			t.even = append(t.even, float32(v))
		}
	}
	return t, nil
}

func analysisOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	at, ok := attr.(op.FourierAttr)
	return kernel{
		scratch: func(_ any, in, _ []ir.Type) int64 {
			if at.Even {
				return 4 * int64(in[0].Elems())
			}
			return 0
		},
		bind: func(a kernels.Args) (kernels.Step, error) {
			t, err := newTransformer(b, at, false, a.In[0], a.Out[0], a.Out[1])
			if err != nil || len(t.re) == 0 {
				return b.step(0, nil), err
			}
			run := b.step(t.rows*parts(t.frames, t.lanes), t.analyse)
			if t.scaled = t.x; !at.Even {
				return run, nil
			}
			if t.scaled, err = b.scratch(a, len(t.x)); err != nil {
				return nil, err
			}
			return sequence(b.step(t.rows, func(_, r int) {
				b.asm.Mul(t.scaled[r*t.n:(r+1)*t.n], t.x[r*t.n:], t.even)
			}), run), nil
		},
	}, ok && len(in) == 1 && len(out) == 2 && in[0].DType == ir.F32
}

// room is the memory of a worker: two times rows, and a list.
func (t *transformer) room(worker int) (x, y []float32, list []int) {
	local := t.b.local[worker]
	half := fourierRoom / 2
	return local[:half], local[half:fourierRoom], unsafe.Slice((*int)(unsafe.Pointer(&local[fourierRoom+64])), 2*listTaps)
}

// analyse transforms some frames of a row.
func (t *transformer) analyse(worker, id int) {
	x, y, list := t.room(worker)
	blocks := parts(t.frames, t.lanes)
	lo, hi := span(id%blocks, t.frames, t.lanes)
	row, n := id/blocks, hi-lo
	t.gather(x, t.scaled[row*t.n+lo*t.attr.Hop:], n)
	z, _ := t.run(x, y, n, list)
	for k := range t.bins {
		a, b, at := k%t.m, (t.m-k%t.m)%t.m, (row*t.bins+k)*t.frames+lo
		switch last := len(t.pairs) / 3; {
		case k > 0 && k < last:
			c := at + (t.m-2*k)*t.frames // bin M-k
			t.b.asm.RealBins(n, &t.pairs[3*k], &z[a*n], &z[(t.apart+a)*n], &z[b*n], &z[(t.apart+b)*n], &t.re[at], &t.im[at], &t.re[c], &t.im[c])
		case k > t.m-last && k < t.m: // made with M-k
		default:
			t.four(t.re[at:at+n], z, t.ends[8*k:], a, b, t.apart, n, list)
			t.four(t.im[at:at+n], z, t.ends[8*k+4:], a, b, t.apart, n, list)
		}
	}
}

// gather writes element i of n frames as row i.
func (t *transformer) gather(to, x []float32, n int) {
	size, hop := t.attr.N, t.attr.Hop
	whole := size &^ 15
	if whole > 0 {
		t.b.asm.Interleave[asm.F32](n, whole, floatBytes(&x[0]), 4*hop, &to[0])
	}
	for i := whole; i < size; i++ {
		for l := range n {
			to[i*n+l] = x[l*hop+i]
		}
	}
}

func synthesisOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	at, ok := attr.(op.FourierAttr)
	return kernel{bind: func(a kernels.Args) (kernels.Step, error) {
		t, err := newTransformer(b, at, true, a.Out[0], a.In[0], a.In[1])
		if err != nil || len(t.x) == 0 {
			return b.step(0, nil), err
		}
		t.own = 4*max(t.lanes, t.before()) - t.before()
		return b.step(t.rows*parts(t.frames, t.own), t.synthesise), nil
	}}, ok && len(in) == 2 && in[0].DType == ir.F32
}

// before is how many frames reach over the begin of another at most.
func (t *transformer) before() int { return parts(t.attr.N, t.attr.Hop) - 1 }

// synthesise adds the frames that lie over the range of some of them.
func (t *transformer) synthesise(worker, id int) {
	blocks := parts(t.frames, t.own)
	lo, hi := span(id%blocks, t.frames, t.own)
	row := id / blocks
	from, to := lo*t.attr.Hop, hi*t.attr.Hop
	if hi == t.frames {
		to = t.n
	}
	x := t.x[row*t.n+from : row*t.n+to]
	clear(x)
	for f := max(0, lo-t.before()); f < hi; f += t.lanes {
		n := min(t.lanes, hi-f)
		frames := t.back(worker, row, f, n)
		for l := range n {
			frame := frames[l*t.attr.N:][:t.attr.N]
			t.b.asm.Mul(frame, frame, t.window)
			begin := (f+l)*t.attr.Hop - from
			a, b := max(0, begin), min(len(x), begin+t.attr.N)
			if a < b {
				t.b.asm.Add(x[a:b], x[a:b], frame[a-begin:])
			}
		}
	}
	if t.even != nil {
		t.b.asm.Mul(x, x, t.even[from:to])
	}
}

// back returns n frames of a row from frame f on, not windowed yet.
func (t *transformer) back(worker, row, f, n int) []float32 {
	x, y, list := t.room(worker)
	for k := range t.bins {
		at := (row*t.bins+k)*t.frames + f
		copy(x[k*n:(k+1)*n], t.re[at:])
		copy(x[(t.bins+k)*n:(t.bins+k+1)*n], t.im[at:])
	}
	for k := range t.m {
		a, b := k, t.m-k
		if t.m == t.attr.N {
			a = min(k, t.m-k)
			b = a
		}
		t.four(y[k*n:(k+1)*n], x, t.ends[8*k:], a, b, t.bins, n, list)
		t.four(y[(t.apart+k)*n:(t.apart+k+1)*n], x, t.ends[8*k+4:], a, b, t.bins, n, list)
	}
	z, frames := t.run(y, x, n, list)
	size := t.attr.N
	if n%16 == 0 {
		t.b.asm.Interleave[asm.F32](size, n, floatBytes(&z[0]), 4*n, &frames[0])
		return frames
	}
	for l := range n {
		for i := range size {
			frames[l*size+i] = z[i*n+l]
		}
	}
	return frames
}
