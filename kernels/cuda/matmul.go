package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// matmulParams is MatMul of source/matmul.h.
type matmulParams struct {
	y, a, b, up, bias, upBias     driver.Pointer
	m, n, k                       uint64
	aRow, aColumn, bRow, bColumn  int64
	aCode, bCode, yCode, biasCode uint32
	activation                    uint32
	batch                         walk[strides2]
	expert                        driver.Pointer
	experts                       uint64
	expertApart                   int64
	every, expertCode             uint32
	plus                          driver.Pointer
}

// tile and largeTile are what a block of source/matmul.cu computes, in both
// directions; the large one where a device has such blocks enough.
const (
	tile        = 64
	largeTile   = 128
	largeBlocks = 100
)

// fills reports whether a device has as many blocks as large tiles would be; of few
// rows for each of many experts, half of a tile would be empty.
func (p *matmulParams) fills(depth int) bool {
	return parts(int(p.n), largeTile)*parts(int(p.m), largeTile)*depth >= largeBlocks && (p.expert == 0 || p.m > tile)
}

// ways is how a product may go: of f32 with f32 in tf32, and of 16 bits by wgmma.
type ways struct{ tf32, async bool }

// product returns the step of a product whose sizes, strides, batch and second
// weight are set, and what it is added to. The tile changes no bit.
func (b *Backend) product(p *matmulParams, x, w, bias, y kernels.Tensor, may ways) (kernels.Step, error) {
	at, err := b.pointers(y, x, w, bias)
	if err != nil || y.Len() == 0 {
		return nothing, err
	}
	p.y, p.a, p.b, p.bias = at[0], at[1], at[2], at[3]
	p.aCode, p.bCode, p.yCode, p.biasCode = codes[x.DType], codes[w.DType], codes[y.DType], codes[bias.DType]
	if family := p.family(x.DType, w.DType, may.tf32); family != "" {
		if may.async {
			if step, err := b.asyncProduct(p, family); step != nil || err != nil {
				return step, err
			}
		}
		return b.onTensorCores(p, family, formOf(p))
	}
	if p.m <= 8 && x.DType == ir.F32 && w.DType == ir.F32 && (p.up == 0 || p.bRow == 1) {
		return b.few(p)
	}
	name, size, depth := "matmul", tile, min(int(p.batch.n), 65535)
	switch {
	case p.up != 0:
		name = "matmul_gated"
	case p.fills(depth):
		name, size = "matmul_large", largeTile
	}
	g := grid{driver.Dim{X: parts(int(p.n), size), Y: parts(int(p.m), size), Z: depth}, 256}
	return launch(b, "matmul", name, g, p)
}

// matmul is the matrix product in the last two axes.
//
//	a [..., m, k]   b [..., k, n]   y [..., m, n]
func matmul(add plus) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.MatMulAttr)
		in, same := add.types(in, out)
		ok = ok && same && len(in) == 2 && stored(in[0].DType) && stored(in[1].DType) && stored(out[0].DType)
		scratch := func(attr any, in, out []ir.Type) int64 {
			in, _ = add.types(in, out)
			return b.matmulSpace(attr, in, out)
		}
		return kernel{bind: func(args kernels.Args) (kernels.Step, error) { return b.bindMatMul(a, add, args) }, scratch: scratch, inPlace: add.inPlace(nil)}, ok
	}
}

func (b *Backend) bindMatMul(a op.MatMulAttr, add plus, args kernels.Args) (kernels.Step, error) {
	args, z := add.args(args)
	x, w, y := args.In[0], args.In[1], args.Out[0]
	lead := len(y.Shape) - 2
	p := &matmulParams{m: uint64(y.Shape[lead]), n: uint64(y.Shape[lead+1])}
	var k int
	k, p.aRow, p.aColumn = lastTwo(x.Shape, a.TransA)
	_, p.bColumn, p.bRow = lastTwo(w.Shape, !a.TransB)
	p.k = uint64(k)
	var err error
	if p.plus, err = b.pointer(z); err != nil {
		return nil, err
	}
	if p.batch, err = walk2(y.Shape[:lead], batchStrides(x.Shape, y.Shape), batchStrides(w.Shape, y.Shape)); err != nil {
		return nil, err
	}
	if step, err := b.blasProduct(p, x, w, kernels.Tensor{}, y, args.Scratch, a.TF32); step != nil || err != nil {
		return step, err
	}
	return b.product(p, x, w, kernels.Tensor{}, y, ways{tf32: a.TF32, async: true})
}

// lastTwo gives the columns of a matrix in the last two axes, and how far rows
// and columns are apart.
func lastTwo(shape []int, trans bool) (columns int, row, column int64) {
	r, c := shape[len(shape)-2], shape[len(shape)-1]
	if trans {
		return r, 1, int64(c)
	}
	return c, int64(c), 1
}

// batchStrides are the strides of the axes before the last two, which repeat to
// those of y.
func batchStrides(shape, y []int) []int {
	lead := len(shape) - 2
	st := repeatStrides(shape[:lead], y[:len(y)-2])
	for i := range st {
		st[i] *= shape[lead] * shape[lead+1]
	}
	return st
}

// linear is y = act(x Wᵀ + b).
//
//	x [..., in]   weight [out, in], or [in, out] if it is transposed   y [..., out]
func linear(add plus) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.LinearAttr)
		return rowProduct{b: b, out: a.OutFeatures, act: a.Act, transpose: a.Transpose, bias: a.Bias, tf32: a.TF32, plus: add}.kernel(in, out, ok)
	}
}

// gatedLinear is y = act(x Gᵀ) * (x Uᵀ).
//
//	x [..., in]   gate, up [out, in]   y [..., out]
func gatedLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GatedLinearAttr)
	ok = ok && len(in) == 3 && in[1].DType == in[2].DType
	return rowProduct{b: b, out: a.OutFeatures, act: a.Act, two: true, tf32: a.TF32}.kernel(in, out, ok)
}

// gatedHalves is y = act(g) * u, with g and u the halves of x Wᵀ + b.
//
//	x [..., in]   weight [2 out, in]   bias [2 out]   y [..., out]
func gatedHalves(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GatedHalvesAttr)
	return rowProduct{b: b, out: a.OutFeatures, act: a.Act, bias: a.Bias, halves: true, second: !a.GateFirst, tf32: a.TF32}.kernel(in, out, ok)
}

// rowProduct is the product of the rows of x with one or two weights.
type rowProduct struct {
	b                   *Backend
	out                 int
	act                 string
	transpose, bias     bool
	two, halves, second bool // two weights, or one that is two, of which the gate is the second
	tf32                bool // see op.AllowTF32
	plus                plus
}

func (r rowProduct) kernel(in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	_, known := activations[r.act]
	in, same := r.plus.types(in, out)
	ok = ok && known && same && len(in[0].Shape) > 0 && stored(out[0].DType)
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{bind: r.bind, scratch: r.space, inPlace: r.plus.inPlace(nil)}, ok
}

// space is the scratch of the product, where it goes by cuBLASLt.
func (r rowProduct) space(_ any, in, out []ir.Type) int64 {
	in, _ = r.plus.types(in, out)
	width := in[0].Sizes()[len(in[0].Shape)-1]
	if r.two || r.halves || width == 0 {
		return 0
	}
	return r.b.blasSpace(int(in[0].Elems())/width, r.out, width, in, out)
}

func (r rowProduct) bind(args kernels.Args) (kernels.Step, error) {
	args, z := r.plus.args(args)
	x, w, y, bias := args.In[0], args.In[1], args.Out[0], kernels.Tensor{}
	width := x.Shape[len(x.Shape)-1]
	p := &matmulParams{n: uint64(r.out), k: uint64(width), aRow: int64(width), aColumn: 1, batch: walk[strides2]{n: 1}}
	p.m = uint64(y.Len() / r.out)
	p.activation = activations[r.act]
	_, p.bColumn, p.bRow = lastTwo(w.Shape, r.transpose)
	if r.bias {
		bias = args.In[2]
	}
	var err error
	if p.plus, err = r.b.pointer(z); err != nil {
		return nil, err
	}
	switch {
	case r.two:
		p.up, err = r.b.pointer(args.In[2])
	case r.halves:
		first, second := piece(w, 0, r.out*width), piece(w, r.out*width, r.out*width)
		low, high := piece(bias, 0, r.out), piece(bias, r.out, r.out)
		if r.second {
			first, second, low, high = second, first, high, low
		}
		w, bias = first, low
		var at []driver.Pointer
		if at, err = r.b.pointers(second, high); err == nil {
			p.up, p.upBias = at[0], at[1]
		}
	}
	if err != nil {
		return nil, err
	}
	if step, err := r.b.blasProduct(p, x, w, bias, y, args.Scratch, r.tf32); step != nil || err != nil {
		return step, err
	}
	return r.b.product(p, x, w, bias, y, ways{tf32: r.tf32})
}

// piece is n elements of a tensor from one on; none of none.
func piece(t kernels.Tensor, from, n int) kernels.Tensor {
	t.Offset += int64(from * t.DType.Size())
	t.Shape = []int{n}
	return t
}
