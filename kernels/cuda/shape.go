package cuda

import (
	"context"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/half"
)

// copyParams is Copy of source/copy.cu.
type copyParams struct {
	to, from driver.Pointer
	bytes    uint32
	walk     walk[strides2]
}

// move returns a step that copies elements of a size: of a shape, those at
// strides from a pointer to those at strides from another.
func (b *Backend) move(bytes int, shape []int, to, from driver.Pointer, toStrides, fromStrides []int) (kernels.Step, error) {
	p := &copyParams{to: to, from: from, bytes: uint32(bytes)}
	var err error
	if p.walk, err = walk2(shape, toStrides, fromStrides); err != nil || p.walk.n == 0 {
		return nothing, err
	}
	if t := p.turned(); t != nil {
		g := grid{driver.Dim{X: parts(int(t.high), edge) * parts(int(t.wide), edge), Y: 1, Z: min(int(t.batch.n), 65535)}, 256}
		return launch(b, "copy", "turn", g, t)
	}
	p.widen()
	return launch(b, "copy", "copy", overElements(int(p.walk.n)), p)
}

// turnParams is Turn of source/copy.cu.
type turnParams struct {
	to, from           driver.Pointer
	high, wide         uint64
	toApart, fromApart int64
	bytes              uint32
	batch              walk[strides2]
}

// edge is that of a tile of source/copy.cu.
const edge = 32

// turned is the copy as one of matrices that are transposed, which goes tile by tile; nil
// where no other axis than the last lies together in what is read, or either is short.
func (p *copyParams) turned() *turnParams {
	w, last := &p.walk, int(p.walk.rank)-1
	if last < 1 || p.bytes > 8 || w.stride[0][last] != 1 || w.stride[1][last] < 2 || w.size[last] < edge/2 {
		return nil
	}
	i := slices.Index(w.stride[1][:last], 1)
	if i < 0 || w.size[i] < edge/2 {
		return nil
	}
	t := &turnParams{to: p.to, from: p.from, high: uint64(w.size[i]), wide: uint64(w.size[last]), toApart: w.stride[0][i], fromApart: w.stride[1][last], bytes: p.bytes}
	t.batch.n = 1
	for k := range last {
		if k == i {
			continue
		}
		r := t.batch.rank
		t.batch.size[r], t.batch.stride[0][r], t.batch.stride[1][r] = w.size[k], w.stride[0][k], w.stride[1][k]
		t.batch.n *= uint64(w.size[k])
		t.batch.rank++
	}
	return t
}

// widen takes elements that lie together on both sides as one of up to 16 bytes.
func (p *copyParams) widen() {
	w := &p.walk
	last := int(w.rank) - 1
	if last < 0 || w.stride[0][last] != 1 || w.stride[1][last] != 1 {
		return
	}
	for p.bytes < 16 {
		twice := uint64(p.bytes) * 2
		even := w.size[last]%2 == 0 && uint64(p.to)%twice == 0 && uint64(p.from)%twice == 0
		for i := range last {
			even = even && w.stride[0][i]%2 == 0 && w.stride[1][i]%2 == 0
		}
		if !even {
			return
		}
		p.bytes, w.n, w.size[last] = uint32(twice), w.n/2, w.size[last]/2
		for i := range last {
			w.stride[0][i] /= 2
			w.stride[1][i] /= 2
		}
	}
}

// sequence runs steps one after another.
func sequence(steps []kernels.Step) kernels.Step {
	return func(ctx context.Context) error {
		for _, s := range steps {
			if err := s(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// mover makes a kernel that moves elements, whatever their type: plan says how
// far neighbours of the result are apart in x, and where it starts there.
func mover(plan func(attr any, x, y kernels.Tensor) (strides []int, start int, err error)) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		return kernel{bind: func(a kernels.Args) (kernels.Step, error) {
			at, err := b.pointers(a.Out[0], a.In[0])
			if err != nil {
				return nil, err
			}
			st, start, err := plan(a.Attr, a.In[0], a.Out[0])
			if err != nil {
				return nil, err
			}
			size, to := a.Out[0].DType.Size(), a.Out[0].Shape
			return b.move(size, to, at[0], at[1]+driver.Pointer(start*size), cStrides(to), st)
		}}, len(in) == 1 && in[0].DType == out[0].DType
	}
}

func same(_ any, x, y kernels.Tensor) ([]int, int, error) {
	if x.Len() != y.Len() {
		return nil, 0, fmt.Errorf("reshape of %d elements to %d", x.Len(), y.Len())
	}
	return cStrides(y.Shape), 0, nil
}

func transpose(attr any, x, _ kernels.Tensor) ([]int, int, error) {
	own := cStrides(x.Shape)
	perm := attr.(op.TransposeAttr).Perm.Slice()
	if len(perm) != len(own) {
		return nil, 0, fmt.Errorf("transpose: %d entries for %d axes", len(perm), len(own))
	}
	st := make([]int, len(own))
	for i, p := range perm {
		st[i] = own[kernels.Axis(p, len(own))]
	}
	return st, 0, nil
}

func broadcast(_ any, x, y kernels.Tensor) ([]int, int, error) {
	return repeatStrides(x.Shape, y.Shape), 0, nil
}

func sliceOf(attr any, x, _ kernels.Tensor) ([]int, int, error) {
	a := attr.(op.SliceAttr)
	st := cStrides(x.Shape)
	i := kernels.Axis(a.Axis, len(st))
	start := a.Start * st[i]
	st[i] *= a.Step
	return st, start, nil
}

// concat joins its inputs along an axis.
func concat(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	for _, t := range in {
		ok = ok && t.DType == out[0].DType
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return b.pieces(a.Axis, args.Out[0], args.In, false)
	}}, ok
}

// split cuts its input along an axis.
func split(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.SplitAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return b.pieces(a.Axis, args.In[0], args.Out, true)
	}}, ok && len(in) == 1
}

// pieces copies tensors to where they lie in the whole along an axis, or from there.
func (b *Backend) pieces(a int, whole kernels.Tensor, list []kernels.Tensor, out bool) (kernels.Step, error) {
	all, err := b.pointer(whole)
	if err != nil {
		return nil, err
	}
	st, size := cStrides(whole.Shape), whole.DType.Size()
	i := kernels.Axis(a, len(st))
	var steps []kernels.Step
	for _, t := range list {
		at, err := b.pointer(t)
		if err != nil {
			return nil, err
		}
		to, from, toStrides, fromStrides := all, at, st, cStrides(t.Shape)
		if out {
			to, from, toStrides, fromStrides = at, all, fromStrides, st
		}
		s, err := b.move(size, t.Shape, to, from, toStrides, fromStrides)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
		all += driver.Pointer(t.Shape[i] * st[i] * size)
	}
	return sequence(steps), nil
}

// pad surrounds x with a value.
func pad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.PadAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0])
		if err != nil {
			return nil, err
		}
		around, err := b.fill(args.Out[0], at[0], a.Value)
		if err != nil {
			return nil, err
		}
		st, size := cStrides(args.Out[0].Shape), args.Out[0].DType.Size()
		start := 0
		for i, n := range a.Before.Slice() {
			start += n * st[i]
		}
		inside, err := b.move(size, args.In[0].Shape, at[0]+driver.Pointer(start*size), at[1], st, cStrides(args.In[0].Shape))
		return sequence([]kernels.Step{around, inside}), err
	}}, ok && len(in) == 1 && in[0].DType == out[0].DType
}

// fill returns a step that makes all elements of a tensor one value.
func (b *Backend) fill(t kernels.Tensor, at driver.Pointer, value float64) (kernels.Step, error) {
	type params struct {
		to       driver.Pointer
		n, value uint64
		bytes    uint32
	}
	p := &params{to: at, n: uint64(t.Len()), bytes: uint32(t.DType.Size())}
	p.value = oneValue(t.DType, value, func(d ir.DType, v float32) uint16 {
		if d == ir.F16 {
			return half.F32ToF16(v)
		}
		return half.F32ToBF16(v)
	})
	if p.n == 0 {
		return nothing, nil
	}
	return launch(b, "copy", "fill", overElements(int(p.n)), p)
}

// fillOp writes one value everywhere.
func fillOp(b *Backend, attr any, _, _ []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.FillAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.pointer(args.Out[0])
		if err != nil {
			return nil, err
		}
		return b.fill(args.Out[0], y, a.Value)
	}}, ok
}

// constant is data known to the compiler, little-endian in C order.
func constant(b *Backend, attr any, in, _ []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ConstantAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.pointer(args.Out[0])
		if err != nil {
			return nil, err
		}
		data := []byte(a.Data)
		if have := args.Out[0].Len() * args.Out[0].DType.Size(); have != len(data) {
			return nil, fmt.Errorf("constant of %d bytes for %d", len(data), have)
		}
		from, err := b.lasting(data)
		if err != nil || len(data) == 0 {
			return nothing, err
		}
		put := func() error { return b.stream.Copy(y, from, int64(len(data))) }
		return func(ctx context.Context) error {
			if _, ok := ctx.(*inside); ok {
				return put()
			}
			return b.alone(put)
		}, nil
	}}, ok && len(in) == 0
}
