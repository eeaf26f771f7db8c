package cuda

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// reduceOp makes the kernel of a reduction, as numbered in source/reduce.cu. How a
// sum is cut into parts goes by its length alone.
func reduceOp(what uint32) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.ReduceAttr)
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
			at, err := b.pointers(args.Out[0], args.In[0])
			if err != nil || args.Out[0].Len() == 0 {
				return nothing, err
			}
			r := reductionOf(args.In[0].Shape, a.Axes)
			if !r.lies || args.In[0].Len() == 0 {
				return b.reduceAnyhow(args.In[0], a.Axes, at, what)
			}
			return b.reduce(r, args, at, what)
		}, scratch: func(_ any, in, out []ir.Type) int64 {
			if r := reductionOf(in[0].Sizes(), a.Axes); r.lies && r.parts() > 1 {
				return 8 * int64(r.parts()*r.results())
			}
			return 0
		}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
	}
}

// reduction is what goes of a tensor [first, kept, gone] or [kept, gone, inner]:
// first goes, too, and stands only where inner is 1.
type reduction struct {
	lies                     bool // so
	first, kept, gone, inner int
}

// reductionOf joins axes of a shape that go or stay together.
func reductionOf(shape []int, over op.Ints) reduction {
	var gone [5]int // sizes of runs of axes, which stay and go in turn
	run := 0
	for i := range gone {
		gone[i] = 1
	}
	for i, n := range shape {
		goes := over == ""
		for _, j := range over.Slice() {
			goes = goes || kernels.Axis(j, len(shape)) == i
		}
		if n == 1 {
			continue
		}
		if goes != (run%2 == 1) {
			run++
		}
		if run == len(gone) {
			return reduction{}
		}
		gone[run] *= n
	}
	switch stay, go1, stay2, go2, stay3 := gone[0], gone[1], gone[2], gone[3], gone[4]; {
	case stay3 > 1:
		return reduction{}
	case go2 == 1:
		return reduction{true, 1, stay, go1, stay2}
	case stay == 1:
		return reduction{true, go1, stay2, go2, 1}
	}
	return reduction{}
}

func (r reduction) results() int { return r.kept * r.inner }

// each is how many elements of what goes are a part.
func (r reduction) each() int {
	if r.inner > 1 {
		return max(256, parts(r.gone, 1024))
	}
	return max(8192, parts(r.gone, 2048*4)*4)
}

func (r reduction) parts() int { return r.first * parts(r.gone, r.each()) }

// partParams is Part of source/reduce.cu.
type partParams struct {
	y, x            driver.Pointer
	outer, n, inner uint64
	kept, each      uint64
	code, what      uint32
	done, quads     uint32
}

// reduce binds one pass over x, and where there are parts one over them.
func (b *Backend) reduce(r reduction, args kernels.Args, at []driver.Pointer, what uint32) (kernels.Step, error) {
	p := &partParams{y: at[0], x: at[1], outer: uint64(r.first * r.kept), n: uint64(r.gone), inner: uint64(r.inner), kept: uint64(r.kept), each: uint64(r.each()),
		code: codes[args.In[0].DType], what: what}
	if r.gone%4 == 0 && inQuads(at[1:], args.In[:1]) {
		p.quads = 1
	}
	count := r.first * r.kept * parts(r.gone, r.each())
	name, g := "reduce_rows", overRows(count, min(r.gone, r.each()))
	if r.inner > 1 {
		name, g = "reduce_columns", grid{driver.Dim{X: min(count*parts(r.inner, 32), mostBlocks), Y: 1, Z: 1}, 256}
	}
	if r.parts() == 1 {
		p.done = 1
		return launch(b, "reduce", name, g, p)
	}
	room, err := b.pointer(args.Scratch)
	if err != nil {
		return nil, err
	}
	p.y = room
	first, err := launch(b, "reduce", name, g, p)
	if err != nil {
		return nil, err
	}
	then, err := b.reduceParts(at[0], room, r.parts(), r.results(), args.Out[0].DType, what)
	return sequence([]kernels.Step{first, then}), err
}

// reduceParts binds the step that joins parts [count, kept] of double.
func (b *Backend) reduceParts(y, x driver.Pointer, count, kept int, t ir.DType, what uint32) (kernels.Step, error) {
	type params struct {
		y, x        driver.Pointer
		parts, kept uint64
		code, what  uint32
		columns     uint32
	}
	p := &params{y: y, x: x, parts: uint64(count), kept: uint64(kept), code: codes[t], what: what, columns: 1}
	for p.columns < 32 && int(p.columns) < kept {
		p.columns *= 2
	}
	return launch(b, "reduce", "reduce_parts", grid{driver.Dim{X: parts(kept, int(p.columns)), Y: 1, Z: 1}, 256}, p)
}

// reduceAnyhow binds a reduction over axes that lie apart.
func (b *Backend) reduceAnyhow(x kernels.Tensor, over op.Ints, at []driver.Pointer, what uint32) (kernels.Step, error) {
	type params struct {
		y, x       driver.Pointer
		code, what uint32
		kept, gone walk[strides]
	}
	st := cStrides(x.Shape)
	var list []int
	for _, i := range over.Slice() {
		list = append(list, kernels.Axis(i, len(x.Shape)))
	}
	var size, stride [2][]int // kept, gone
	for i, n := range x.Shape {
		k := 0
		if over == "" || slices.Contains(list, i) {
			k = 1
		}
		size[k], stride[k] = append(size[k], n), append(stride[k], st[i])
	}
	p := &params{y: at[0], x: at[1], code: codes[x.DType], what: what}
	var err error
	if p.kept, err = walk1(size[0], stride[0]); err != nil {
		return nil, err
	}
	if p.gone, err = walk1(size[1], stride[1]); err != nil {
		return nil, err
	}
	return launch(b, "reduce", "reduce", overRows(int(p.kept.n), int(p.gone.n)), p)
}

// alongParams is Along of source/reduce.cu.
type alongParams struct {
	y, x            driver.Pointer
	outer, n, inner uint64
	code, log       uint32
}

// along binds a kernel that takes x [outer, n, inner] along an axis.
func (b *Backend) along(a int, args kernels.Args) (*alongParams, error) {
	at, err := b.pointers(args.Out[0], args.In[0])
	if err != nil {
		return nil, err
	}
	outer, n, inner := kernels.Around(args.In[0].Shape, a)
	return &alongParams{at[0], at[1], uint64(outer), uint64(n), uint64(inner), codes[args.In[0].DType], 0}, nil
}

// softmaxOp makes the kernel of softmax or of its logarithm: of rows that lie
// together in registers, and else by passes over x.
func softmaxOp(log bool) maker {
	type params struct {
		y, x       driver.Pointer
		rows, n    uint64
		code, team uint32
		log        uint32
	}
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.AxisAttr)
		return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
			p, err := b.along(a.Axis, args)
			if err != nil || args.In[0].Len() == 0 {
				return nothing, err
			}
			if log {
				p.log = 1
			}
			t := teamOf(int(p.n), p.inner == 1 && inQuads([]driver.Pointer{p.y, p.x}, []kernels.Tensor{args.Out[0], args.In[0]}))
			if t.quads == 0 {
				return launch(b, "reduce", "softmax", overRows(int(p.outer*p.inner), int(p.n)), p)
			}
			held := &params{p.y, p.x, p.outer, p.n, p.code, uint32(t.threads), p.log}
			return launch(b, "softmax", t.variant("softmax"), t.grid(int(p.outer)), held)
		}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
	}
}

// argmax is the lowest index of the greatest element along an axis.
func argmax(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	t := in[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		p, err := b.along(a.Axis, args)
		if err != nil || args.In[0].Len() == 0 {
			return nothing, err
		}
		return launch(b, "reduce", "argmax", overRows(int(p.outer*p.inner), int(p.n)), p)
	}}, ok && (stored(t) || t == ir.I32) && out[0].DType == ir.I32
}

// cumsum adds up along an axis.
func cumsum(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AxisAttr)
	return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
		p, err := b.along(a.Axis, args)
		if err != nil || args.In[0].Len() == 0 {
			return nothing, err
		}
		return launch(b, "reduce", "cumsum", overElements(int(p.outer*p.inner)), p)
	}}, ok && stored(in[0].DType) && in[0].DType == out[0].DType
}
