package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// gatherParams is Gather of source/index.cu.
type gatherParams struct {
	y, x, index, bad   driver.Pointer
	outer, n, m, inner uint64
	code, from, to     uint32
	bytes, along, rows uint32
}

// take returns a step that takes elements of x [outer, n, inner] at index.
func (b *Backend) take(p *gatherParams, x, index, y kernels.Tensor) (kernels.Step, error) {
	at, err := b.pointers(y, x, index)
	if err != nil || y.Len() == 0 {
		return nothing, err
	}
	bad, err := b.slot()
	if err != nil {
		return nil, err
	}
	p.y, p.x, p.index, p.bad = at[0], at[1], at[2], bad.at
	p.code, p.from, p.to, p.bytes = codes[index.DType], codes[x.DType], codes[y.DType], uint32(x.DType.Size())
	run, err := launch(b, "index", "gather", overElements(y.Len()), p)
	if err != nil {
		return nil, err
	}
	return b.checked(run, bad, index, at[2], int(p.n)), nil
}

// gather takes slices of x at indices along an axis.
//
//	x [outer, n, inner]   indices [m]   y [outer, m, inner]
func gather(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		outer, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		p := &gatherParams{outer: uint64(outer), n: uint64(n), m: uint64(args.In[1].Len()), inner: uint64(inner)}
		return b.take(p, args.In[0], args.In[1], args.Out[0])
	}}, ok && isIndex(in[1]) && in[0].DType == out[0].DType
}

// embedding takes rows of a table.
//
//	x ids [...]   weight [vocab, dim]   y f32 [..., dim]
func embedding(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	_, ok := attr.(op.EmbeddingAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		w := args.In[1].Shape
		p := &gatherParams{outer: 1, n: uint64(w[0]), m: uint64(args.In[0].Len()), inner: uint64(w[1])}
		return b.take(p, args.In[1], args.In[0], args.Out[0])
	}}, ok && isIndex(in[0]) && stored(in[1].DType) && out[0].DType == ir.F32
}

// takeAlong takes single elements along an axis.
//
//	x [outer, n, inner]   indices, y [outer, m, inner]
func takeAlong(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		outer, n, inner := kernels.Around(args.In[0].Shape, a.Axis)
		_, m, _ := kernels.Around(args.In[1].Shape, a.Axis)
		p := &gatherParams{outer: uint64(outer), n: uint64(n), m: uint64(m), inner: uint64(inner), along: 1}
		return b.take(p, args.In[0], args.In[1], args.Out[0])
	}}, ok && isIndex(in[1]) && in[0].DType == out[0].DType
}

// pick takes one row of each sequence.
//
//	x [batch, seq, ...]   index [batch]   y [batch, 1, ...]
func pick(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 2 && len(in[0].Shape) >= 2 && isIndex(in[1]) && in[0].DType == out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		batch, seq, inner := kernels.Around(args.In[0].Shape, 1)
		p := &gatherParams{outer: uint64(batch), n: uint64(seq), m: 1, inner: uint64(inner), rows: 1}
		return b.take(p, args.In[0], args.In[1], args.Out[0])
	}}, ok
}

// oneHot is 1 at place x and 0 elsewhere.
//
//	x ids [...]   y f32 [..., classes]
func oneHot(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, index   driver.Pointer
		n, classes uint64
		code       uint32
	}
	a, ok := attr.(op.OneHotAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		p := &params{at[0], at[1], uint64(args.In[0].Len()), uint64(a.Classes), codes[args.In[0].DType]}
		return launch(b, "index", "one_hot", overElements(args.Out[0].Len()), p)
	}}, ok && isIndex(in[0]) && out[0].DType == ir.F32
}

// scatterOp adds slices of y, or single elements along an axis, into zeros.
//
//	y [outer, m, inner]   indices [m] or like y   x [outer, n, inner]
func scatterOp(along bool) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.ScatterAttr)
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return b.scatter(a.Axis, along, args) }},
			ok && isIndex(in[1]) && stored(in[0].DType) && out[0].DType == in[0].DType
	}
}

// fewAlong is how many elements are added along an axis at most, that each element
// of the result looks at all.
const fewAlong = 64

func (b *Backend) scatter(axis int, along bool, args kernels.Args) (kernels.Step, error) {
	type params struct {
		x, y, index, bad   driver.Pointer
		outer, n, m, inner uint64
		indexCode, code    uint32
	}
	x, index := args.Out[0], args.In[1]
	at, err := b.pointers(x, args.In[0], index)
	if err != nil || x.Len() == 0 {
		return nothing, err
	}
	bad, err := b.slot()
	if err != nil {
		return nil, err
	}
	outer, n, inner := kernels.Around(x.Shape, axis)
	p := &params{x: at[0], y: at[1], index: at[2], bad: bad.at, outer: uint64(outer), n: uint64(n), m: uint64(index.Len()), inner: uint64(inner), indexCode: codes[index.DType], code: codes[x.DType]}
	var run kernels.Step
	if along {
		_, m, _ := kernels.Around(index.Shape, axis)
		p.m = uint64(m)
		name, g := "scatter_few", overElements(x.Len())
		if m > fewAlong && x.DType == ir.F32 {
			name, g = "scatter_columns", overElements(outer*inner)
		}
		run, err = launch(b, "index", name, g, p)
	} else {
		run, err = b.fill(x, at[0], 0)
		if err == nil && p.m > 0 {
			threads := overRows(1, outer*inner).threads
			across := min(parts(outer*inner, 8*threads), 256)
			var add kernels.Step
			add, err = launch(b, "index", "scatter_slices", grid{driver.Dim{X: min(int(p.m), mostBlocks), Y: across, Z: 1}, threads}, p)
			run = sequence([]kernels.Step{run, add})
		}
	}
	if err != nil {
		return nil, err
	}
	return b.checked(run, bad, index, at[2], n), nil
}

// cacheAppend replaces rows past[b] to past[b]+seq-1 of a cache by x; rows
// beyond the cache are dropped. In place, nothing else moves.
//
//	cache, y [batch, ctx, groups, d]   x [batch, seq, groups, d]   past [batch], optional
func cacheAppend(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		cache, old, x, past        driver.Pointer
		batch, context, seq, inner uint64
		code, xCode, pastCode      uint32
	}
	ok := len(in) == 3 && len(in[0].Shape) == 4 && stored(in[0].DType) && stored(in[1].DType) && in[0].DType == out[0].DType && (in[2].DType == ir.Invalid || isIndex(in[2]))
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.In[2])
		if err != nil {
			return nil, err
		}
		batch, context, inner := kernels.Around(args.In[0].Shape, 1)
		p := &params{at[0], at[1], at[2], at[3], uint64(batch), uint64(context), uint64(args.In[1].Shape[1]), uint64(inner), codes[args.In[0].DType], codes[args.In[1].DType], codes[args.In[2].DType]}
		n := args.Out[0].Len()
		if at[0] == at[1] {
			n = args.In[1].Len()
		}
		if n == 0 {
			return nothing, nil
		}
		return launch(b, "index", "cache_append", overElements(n), p)
	}}, ok
}
