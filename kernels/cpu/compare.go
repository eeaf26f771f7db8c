package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// compareOp makes the kernel of a comparison, which gives bool.
func compareOp(f fn3[float32], i32 fn3[int32], i64 fn3[int64], u8 fn3[uint8]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		if len(in) != 2 || in[0].DType != in[1].DType || out[0].DType != ir.Bool {
			return nil, false
		}
		switch d := in[0].DType; {
		case stored(d):
			return compareKernel(b, f, in, out), true
		case d == ir.I32:
			return compareKernel(b, i32, in, out), true
		case d == ir.I64:
			return compareKernel(b, i64, in, out), true
		case d == ir.U8 || d == ir.Bool:
			return compareKernel(b, u8, in, out), true
		}
		return nil, false
	}
}

// fn3 compares a tile.
type fn3[T elem] func(y []uint8, a, b []T)

// ordered are the types that can be compared.
type ordered interface{ number | uint8 }

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func eq[T ordered](y []uint8, a, b []T) {
	for i := range y {
		y[i] = truth(a[i] == b[i])
	}
}

func ne[T ordered](y []uint8, a, b []T) {
	for i := range y {
		y[i] = truth(a[i] != b[i])
	}
}

func lt[T ordered](y []uint8, a, b []T) {
	for i := range y {
		y[i] = truth(a[i] < b[i])
	}
}

func le[T ordered](y []uint8, a, b []T) {
	for i := range y {
		y[i] = truth(a[i] <= b[i])
	}
}

func gt[T ordered](y []uint8, a, b []T) { lt(y, b, a) }

func ge[T ordered](y []uint8, a, b []T) { le(y, b, a) }

func compareKernel[T elem](b *Backend, f fn3[T], in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.In[1], a.Out[0])
		if err != nil {
			return nil, err
		}
		shape := a.Out[0].Shape
		p, q := newInput[T](vs[0], a.In[0].Shape, shape), newInput[T](vs[1], a.In[1].Shape, shape)
		y := slice[uint8](vs[2])
		return b.tiled(len(y), func(local []float32, i, n int) {
			f(y[i:i+n], p.read(tileBuf[T](local, 1), i, n), q.read(tileBuf[T](local, 2), i, n))
		}), nil
	}}
}

func not(y, x []uint8) {
	for i, v := range x {
		y[i] = truth(v == 0)
	}
}

func and(y, a, b []uint8) {
	for i := range y {
		y[i] = truth(a[i] != 0 && b[i] != 0)
	}
}

func or(y, a, b []uint8) {
	for i := range y {
		y[i] = truth(a[i] != 0 || b[i] != 0)
	}
}

func allBool(ts ...ir.Type) bool {
	for _, t := range ts {
		if t.DType != ir.Bool {
			return false
		}
	}
	return true
}

func notOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	return unaryKernel(b, not, in, out), len(in) == 1 && allBool(in[0], out[0])
}

func logicOp(f fn2[uint8]) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		return wholeKernel(b, f, in, out), len(in) == 2 && allBool(in[0], in[1], out[0])
	}
}

// selectOp is y = a where cond holds, else b; all repeat to one shape.
func selectOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	if len(in) != 3 || in[0].DType != ir.Bool || in[1].DType != in[2].DType || in[1].DType != out[0].DType {
		return nil, false
	}
	switch out[0].DType.Size() {
	case 1:
		return selectKernel[uint8](b, in, out), true
	case 2:
		return selectKernel[uint16](b, in, out), true
	case 4:
		return selectKernel[uint32](b, in, out), true
	}
	return selectKernel[uint64](b, in, out), true
}

func selectKernel[T elem](b *Backend, in, out []ir.Type) kernels.Kernel {
	return kernel{inPlace: sameType(in, out), bind: func(a kernels.Args) (kernels.Step, error) {
		vs, err := b.views(a.In[0], a.In[1], a.In[2], a.Out[0])
		if err != nil {
			return nil, err
		}
		for i := range vs[1:] {
			vs[1+i].dtype = raw(vs[1+i].dtype) // elements move as they are
		}
		shape := a.Out[0].Shape
		cond := newInput[uint8](vs[0], a.In[0].Shape, shape)
		p, q := newInput[T](vs[1], a.In[1].Shape, shape), newInput[T](vs[2], a.In[2].Shape, shape)
		y := slice[T](vs[3])
		return b.tiled(len(y), func(local []float32, i, n int) {
			c := cond.read(tileBuf[uint8](local, 0), i, n)
			s, t := p.read(tileBuf[T](local, 1), i, n), q.read(tileBuf[T](local, 2), i, n)
			choose(y[i:i+n], t, s, c)
		}), nil
	}}
}

// choose is y = s where c is set, else t, without a jump that would be guessed
// wrong half of the time.
func choose[T elem](y, t, s []T, c []uint8) {
	t, s, c = t[:len(y)], s[:len(y)], c[:len(y)]
	for j := range y {
		v := t[j]
		if w := s[j]; c[j] != 0 {
			v = w
		}
		y[j] = v
	}
}

// raw is a type of d's size that is never widened: only vec.narrow looks at it.
func raw(d ir.DType) ir.DType {
	switch d.Size() {
	case 1:
		return ir.U8
	case 2:
		return ir.Invalid
	case 4:
		return ir.I32
	}
	return ir.I64
}
