package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// matmulParams is MatMul of source/matmul.cu.
type matmulParams struct {
	y, a, b, bias                 driver.Pointer
	m, n, k                       uint64
	aRow, aColumn, bRow, bColumn  int64
	aCode, bCode, yCode, biasCode uint32
	batch                         walk[strides2]
}

// tile is what a block of source/matmul.cu computes, in both directions.
const tile = 64

// product returns the step of a product whose sizes, strides and batch are set.
func (b *Backend) product(p *matmulParams, x, w, bias, y kernels.Tensor) (kernels.Step, error) {
	at, err := b.pointers(y, x, w, bias)
	if err != nil || y.Len() == 0 {
		return nothing, err
	}
	p.y, p.a, p.b, p.bias = at[0], at[1], at[2], at[3]
	p.aCode, p.bCode, p.yCode, p.biasCode = codes[x.DType], codes[w.DType], codes[y.DType], codes[bias.DType]
	g := grid{driver.Dim{X: parts(int(p.n), tile), Y: parts(int(p.m), tile), Z: min(int(p.batch.n), 65535)}, 256}
	return launch(b, "matmul", "matmul", g, p)
}

// matmul is the matrix product in the last two axes.
//
//	a [..., m, k]   b [..., k, n]   y [..., m, n]
func matmul(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.MatMulAttr)
	ok = ok && len(in) == 2 && stored(in[0].DType) && stored(in[1].DType) && stored(out[0].DType)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		x, w, y := args.In[0], args.In[1], args.Out[0]
		lead := len(y.Shape) - 2
		p := &matmulParams{m: uint64(y.Shape[lead]), n: uint64(y.Shape[lead+1])}
		var k int
		k, p.aRow, p.aColumn = lastTwo(x.Shape, a.TransA)
		_, p.bColumn, p.bRow = lastTwo(w.Shape, !a.TransB)
		p.k = uint64(k)
		var err error
		if p.batch, err = walk2(y.Shape[:lead], batchStrides(x.Shape, y.Shape), batchStrides(w.Shape, y.Shape)); err != nil {
			return nil, err
		}
		return b.product(p, x, w, kernels.Tensor{}, y)
	}}, ok
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

// linear is y = x Wᵀ + b.
//
//	x [..., in]   weight [out, in], or [in, out] if it is transposed   y [..., out]
func linear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LinearAttr)
	ok = ok && a.Act == "" && len(in[0].Shape) > 0 && stored(out[0].DType)
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		x, w, y, bias := args.In[0], args.In[1], args.Out[0], kernels.Tensor{}
		if a.Bias {
			bias = args.In[2]
		}
		width := x.Shape[len(x.Shape)-1]
		p := &matmulParams{n: uint64(a.OutFeatures), k: uint64(width), aRow: int64(width), aColumn: 1, batch: walk[strides2]{n: 1}}
		p.m = uint64(y.Len() / a.OutFeatures)
		_, p.bColumn, p.bRow = lastTwo(w.Shape, a.Transpose)
		return b.product(p, x, w, bias, y)
	}}, ok
}
