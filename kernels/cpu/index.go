package cpu

import (
	"context"
	"fmt"
	"sync/atomic"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/cpu/pool"
)

// indices reads places along an axis and remembers one that is out of range.
type indices struct {
	vec
	limit int // places lie below it
	bad   atomic.Int64
}

func isIndex(t ir.Type) bool { return t.DType == ir.I32 || t.DType == ir.I64 }

// at returns place i, or false if it is out of range.
func (x *indices) at(i int) (int, bool) {
	k := x.get(i)
	if k < 0 || k >= x.limit {
		x.bad.Store(int64(i) + 1)
		return 0, false
	}
	return k, true
}

func (x *indices) get(i int) int {
	if x.dtype == ir.I64 {
		return int(slice[int64](x.vec)[i])
	}
	return int(slice[int32](x.vec)[i])
}

// step runs n parts of f, and fails if an index was out of range.
func (x *indices) step(b *Backend, n int, f pool.Func) kernels.Step {
	return func(context.Context) error {
		b.pool.Run(n, f)
		return x.err()
	}
}

// err tells of an index that was out of range since it was last asked.
func (x *indices) err() error {
	if i := x.bad.Swap(0); i != 0 {
		return &kernels.IndexError{At: int(i - 1), Index: x.get(int(i - 1)), Limit: x.limit}
	}
	return nil
}

// gather takes slices of x at indices along an axis.
//
//	x [outer, n, inner]   indices [m]   y [outer, m, inner]
func gather(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	ok = ok && len(in) == 2 && isIndex(in[1]) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return bindGather(b, "gather", a.Axis, args.In[0], args.In[1], args.Out[0])
	}}, ok
}

// embedding takes rows of a table.
//
//	x ids [...]   weight [vocab, dim]   y f32 [..., dim]
func embedding(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	_, ok := attr.(op.EmbeddingAttr)
	ok = ok && len(in) == 2 && isIndex(in[0]) && (stored(in[1].DType) || in[1].DType.Blocked()) && out[0].DType == ir.F32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		return bindGather(b, "embedding", 0, args.In[1], args.In[0], args.Out[0])
	}}, ok
}

func bindGather(b *Backend, name string, a int, x, ids, y kernels.Tensor) (kernels.Step, error) {
	vs, err := b.views(x, ids, y)
	if err != nil {
		return nil, err
	}
	outer, n, inner := kernels.Around(x.Shape, a)
	places := &indices{vec: vs[1], limit: n}
	m := places.n
	if outer*m*inner == 0 {
		return b.step(0, nil), nil
	}
	move := func(_ []float32, from, to int) {
		copy(vs[2].bytes(to*inner, (to+1)*inner), vs[0].bytes(from*inner, (from+1)*inner))
	}
	switch {
	case x.Layout == BN32 && x.DType == ir.NF4 && outer == 1:
		move = func(local []float32, from, to int) {
			b.nf4Row(local, vs[2].f32()[to*inner:(to+1)*inner], vs[0].bytes8(), from)
		}
	case x.Layout == BN32 && outer == 1:
		p, _ := packingOf(x.DType)
		move = func(local []float32, from, to int) {
			b.blockRow(local, p, vs[2].f32()[to*inner:(to+1)*inner], vs[0].bytes8(), from)
		}
	case x.DType.Blocked() && outer == 1 && x.Layout == "":
		decode, err := decoder(x.DType)
		if err != nil {
			return nil, err
		}
		move = func(_ []float32, from, to int) {
			decode(vs[2].f32()[to*inner:(to+1)*inner], vs[0].bytes8(), from*inner)
		}
	case x.Layout == N32 && outer == 1:
		move = func(local []float32, from, to int) { panelRow(local, vs[0], vs[2], from, to, inner) }
	case x.Layout != "":
		return nil, fmt.Errorf("%s from layout %q of %v", name, x.Layout, x.Shape)
	case x.DType != y.DType:
		move = func(local []float32, from, to int) {
			for i := 0; i < inner; i += tile {
				buf := local[:min(tile, inner-i)]
				vs[0].load(buf, from*inner+i)
				vs[2].store(to*inner+i, buf)
			}
		}
	}
	perPart := max(1, grain/inner)
	return places.step(b, parts(outer*m, perPart), func(worker, id int) {
		lo, hi := span(id, outer*m, perPart)
		for r := lo; r < hi; r++ {
			if k, ok := places.at(r % m); ok {
				move(b.local[worker], r/m*n+k, r)
			}
		}
	}), nil
}

// panelRow copies row from of a table [.., dim] that is packed in panels.
func panelRow(local []float32, x, y vec, from, to, dim int) {
	at := from/asm.Panel*asm.Panel*dim + from%asm.Panel
	for i := 0; i < dim; i += tile {
		buf := local[:min(tile, dim-i)]
		for j := range buf {
			x.load(buf[j:j+1], at+(i+j)*asm.Panel)
		}
		y.store(to*dim+i, buf)
	}
}

// takeAlong takes single elements along an axis.
//
//	x [outer, n, inner]   indices, y [outer, m, inner]
func takeAlong(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	ok = ok && len(in) == 2 && isIndex(in[1]) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		x, y := vs[0], vs[2]
		_, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		_, m, _ := kernels.Around(args.In[1].Shape, a.Axis)
		places := &indices{vec: vs[1], limit: n}
		return places.step(b, parts(y.n, grain), func(_, id int) {
			lo, hi := span(id, y.n, grain)
			for i := lo; i < hi; i++ {
				if k, ok := places.at(i); ok {
					at := (i/inner/m*n+k)*inner + i%inner
					copy(y.bytes(i, i+1), x.bytes(at, at+1))
				}
			}
		}), nil
	}}, ok
}

// pick takes one row of each sequence.
//
//	x [batch, seq, ...]   index [batch]   y [batch, 1, ...]
func pick(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 2 && len(in[0].Shape) >= 2 && isIndex(in[1]) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		batch, seq, inner := kernels.Around(args.In[0].Shape, 1)
		places := &indices{vec: vs[1], limit: seq}
		return places.step(b, batch, func(_, r int) {
			if k, ok := places.at(r); ok {
				at := (r*seq + k) * inner
				copy(vs[2].bytes(r*inner, (r+1)*inner), vs[0].bytes(at, at+inner))
			}
		}), nil
	}}, ok
}

// oneHot is 1 at place x and 0 elsewhere.
//
//	x ids [...]   y f32 [..., classes]
func oneHot(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.OneHotAttr)
	ok = ok && len(in) == 1 && isIndex(in[0]) && out[0].DType == ir.F32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.Out[0])
		if err != nil {
			return nil, err
		}
		places, y := &indices{vec: vs[0]}, vs[1].f32()
		perPart := max(1, grain/a.Classes)
		return b.step(parts(places.n, perPart), func(_, id int) {
			lo, hi := span(id, places.n, perPart)
			for i := lo; i < hi; i++ {
				row := y[i*a.Classes : (i+1)*a.Classes]
				clear(row)
				if k := places.get(i); k >= 0 && k < a.Classes {
					row[k] = 1
				}
			}
		}), nil
	}}, ok
}
