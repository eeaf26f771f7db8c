package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// strided copies a tensor into C order: element i of y is the element of x at
// offset(i, shape, strides) from start.
type strided struct {
	b              *Backend
	x, y           vec
	start          int
	shape, strides []int
}

func (s strided) step() kernels.Step {
	if s.y.n == 0 {
		return s.b.step(0, nil)
	}
	s.shape, s.strides = collapse(s.shape, s.strides)
	switch s.y.dtype.Size() {
	case 1:
		return stridedStep[uint8](s)
	case 2:
		return stridedStep[uint16](s)
	case 4:
		return stridedStep[uint32](s)
	}
	return stridedStep[uint64](s)
}

func stridedStep[T elem](s strided) kernels.Step {
	x, y := slice[T](s.x), slice[T](s.y)
	last := len(s.shape) - 1
	width, step := s.shape[last], s.strides[last]
	n := len(y) / width
	perPart := max(1, grain/width)
	return s.b.step(parts(n, perPart), func(_, id int) {
		lo, hi := span(id, n, perPart)
		for r := lo; r < hi; r++ {
			to := y[r*width : (r+1)*width]
			at := s.start + offset(r, s.shape[:last], s.strides)
			if step == 1 {
				copy(to, x[at:at+width])
				continue
			}
			for j := range to {
				to[j] = x[at+j*step]
			}
		}
	})
}

// cStrides returns the distance of neighbours along each axis in C order.
func cStrides(shape []int) []int {
	out := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// mover makes a kernel that moves elements, whatever their type: plan says
// from where, given the tensors.
func mover(plan func(attr any, x, y kernels.Tensor) (strided, error)) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 1 || in[0].DType != out[0].DType {
			return nil, false
		}
		return kernel{bind: func(a kernels.Args) (kernels.Step, error) {
			vs, err := b.views(a.In[0], a.Out[0])
			if err != nil {
				return nil, err
			}
			s, err := plan(a.Attr, a.In[0], a.Out[0])
			if err != nil {
				return nil, err
			}
			s.b, s.x, s.y = b, vs[0], vs[1]
			return s.step(), nil
		}}, true
	}
}

func transpose(attr any, x, y kernels.Tensor) (strided, error) {
	own := cStrides(x.Shape)
	st := make([]int, len(own))
	perm := attr.(op.TransposeAttr).Perm.Slice()
	if len(perm) != len(own) {
		return strided{}, fmt.Errorf("transpose: %d entries for %d axes", len(perm), len(own))
	}
	for i, p := range perm {
		st[i] = own[kernels.Axis(p, len(own))]
	}
	return strided{shape: y.Shape, strides: st}, nil
}

func broadcast(_ any, x, y kernels.Tensor) (strided, error) {
	return strided{shape: y.Shape, strides: repeatStrides(x.Shape, y.Shape)}, nil
}

func sliceOf(attr any, x, y kernels.Tensor) (strided, error) {
	a := attr.(op.SliceAttr)
	st := cStrides(x.Shape)
	i := kernels.Axis(a.Axis, len(st))
	start := a.Start * st[i]
	st[i] *= a.Step
	return strided{shape: y.Shape, strides: st, start: start}, nil
}

// copyOp copies the elements as they are: a reshape that could not be a view.
func copyOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	if len(in) != 1 || in[0].DType != out[0].DType {
		return nil, false
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := vs[0], vs[1]
		if x.n != y.n {
			return nil, fmt.Errorf("reshape of %d elements to %d", x.n, y.n)
		}
		return b.blocks(y.n, func(i, j int) { copy(y.bytes(i, j), x.bytes(i, j)) }), nil
	}}, true
}

// blocks returns a step that calls f for ranges of n elements.
func (b *Backend) blocks(n int, f func(i, j int)) kernels.Step {
	const block = 8 * grain // moving is cheap
	if n == 0 {
		return b.step(0, nil)
	}
	return b.step(parts(n, block), func(_, id int) { f(span(id, n, block)) })
}

// chunks describes a tensor with an axis cut into runs of whole slices: row r
// of part k is run[k] bytes at r*all + first[k].
type chunks struct {
	rows, all  int
	first, run []int
}

// cut lays the sizes of an axis out, one after the other.
func cut(whole kernels.Tensor, a int, pieces []kernels.Tensor) (chunks, error) {
	outer, n, inner := kernels.Around(whole.Shape, a)
	size := inner * whole.DType.Size()
	c := chunks{rows: outer, all: n * size}
	at := 0
	for _, p := range pieces {
		o, m, i := kernels.Around(p.Shape, a)
		if o != outer || i != inner {
			return c, fmt.Errorf("%v is no part of %v along axis %d", p.Shape, whole.Shape, a)
		}
		c.first, c.run = append(c.first, at), append(c.run, m*size)
		at += m * size
	}
	if at != c.all {
		return c, fmt.Errorf("parts of %d bytes for %v along axis %d", at, whole.Shape, a)
	}
	return c, nil
}

// step calls copy for each row of each part with the bytes of the part and
// where they lie in the whole.
func (c chunks) step(b *Backend, whole vec, pieces []vec, move func(part, whole []byte)) kernels.Step {
	if c.rows*c.all == 0 {
		return b.step(0, nil)
	}
	perPart := max(1, 4*grain/c.all)
	all := unsafe.Slice((*byte)(whole.p), c.rows*c.all)
	return b.step(parts(c.rows, perPart), func(_, id int) {
		lo, hi := span(id, c.rows, perPart)
		for k, p := range pieces {
			part := unsafe.Slice((*byte)(p.p), c.rows*c.run[k])
			for r := lo; r < hi; r++ {
				at := r*c.all + c.first[k]
				move(part[r*c.run[k]:(r+1)*c.run[k]], all[at:at+c.run[k]])
			}
		}
	})
}

// concat joins its inputs along an axis.
func concat(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	for _, t := range in {
		ok = ok && t.DType == out[0].DType
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return bindCut(b, a.Axis, args.Out[0], args.In, func(part, whole []byte) { copy(whole, part) })
	}}, ok
}

// split cuts its input along an axis.
func split(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.SplitAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return bindCut(b, a.Axis, args.In[0], args.Out, func(part, whole []byte) { copy(part, whole) })
	}}, ok && len(in) == 1
}

func bindCut(b *Backend, a int, whole kernels.Tensor, pieces []kernels.Tensor, move func(part, whole []byte)) (kernels.Step, error) {
	c, err := cut(whole, a, pieces)
	if err != nil {
		return nil, err
	}
	vs, err := b.views(append([]kernels.Tensor{whole}, pieces...)...)
	if err != nil {
		return nil, err
	}
	return c.step(b, vs[0], vs[1:], move), nil
}

// pad surrounds x with a value.
func pad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.PadAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := vs[0], vs[1]
		value, err := encodeOne(y.dtype, a.Value)
		if err != nil {
			return nil, err
		}
		fill := b.fillStep(y, value)
		shape, st := args.In[0].Shape, cStrides(args.Out[0].Shape)
		start := 0
		for i, n := range a.Before.Slice() {
			start += n * st[i]
		}
		if x.n == 0 {
			return fill, nil
		}
		_, width := rows(shape)
		lead := shape[:max(0, len(shape)-1)]
		perPart := max(1, grain/width)
		move := b.step(parts(x.n/width, perPart), func(_, id int) {
			lo, hi := span(id, x.n/width, perPart)
			for r := lo; r < hi; r++ {
				at := start + offset(r, lead, st)
				copy(y.bytes(at, at+width), x.bytes(r*width, (r+1)*width))
			}
		})
		return sequence(fill, move), nil
	}}, ok && len(in) == 1 && in[0].DType == out[0].DType
}
