package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/cublas"
	"pipe.dev/kernels/cuda/driver"
)

// FindCuBLAS as Options.CuBLAS has the library looked for.
const FindCuBLAS = "find"

// leastSide is the least of rows, columns and terms of a sum that a product by
// cuBLASLt has: below it launching costs more than is gained, and few rows, as they
// are when a text is continued, keep their bits in any company.
const leastSide = 128

// blasTypes are the element types of operands that cuBLASLt multiplies.
var blasTypes = map[ir.DType]cublas.DType{ir.F32: cublas.F32, ir.F16: cublas.F16, ir.BF16: cublas.BF16}

// openCuBLAS opens the library where it is asked for.
func (b *Backend) openCuBLAS(where string) (err error) {
	switch where {
	case "":
		return nil
	case FindCuBLAS:
		where = ""
	}
	b.blas, err = cublas.Open(where, b.device)
	return err
}

// Facts are what decides bits and is not in a plan: for the record of a run.
func (b *Backend) Facts() map[string]string {
	f := map[string]string{"device": b.Name(), "gpu": b.device.Name, "driver": b.device.Version(), "products": "pipe"}
	b.wgmma.Lock()
	defer b.wgmma.Unlock()
	for name, good := range b.wgmma.good {
		if !good && strings.HasPrefix(name, ofAttention) {
			f["attention"] = "pipe without wgmma"
		} else if !good {
			f["products"] = "pipe without wgmma"
		}
	}
	if b.blas != nil {
		f["products"] = "cuBLASLt " + b.blas.Version()
	}
	return f
}

// byCuBLAS reports whether a product may go by the library: types are of two
// operands and a result. Sums are of f32 and rounded once, as the kernels have it.
func (b *Backend) byCuBLAS(m, n, k int, x, w, y ir.DType) bool {
	_, known := blasTypes[x]
	return b.blas != nil && known && x == w && (y == x || y == ir.F32) && min(m, n, k) >= leastSide
}

// blasSpace is the scratch of such a product; 0 if it goes by the kernels.
func (b *Backend) blasSpace(m, n, k int, in, out []ir.Type) int64 {
	if !b.byCuBLAS(m, n, k, in[0].DType, in[1].DType, out[0].DType) {
		return 0
	}
	return cublas.Workspace
}

// matmulSpace is blasSpace of matmul.
func (b *Backend) matmulSpace(attr any, in, out []ir.Type) int64 {
	x, y := in[0].Sizes(), out[0].Sizes()
	k, _, _ := lastTwo(x, attr.(op.MatMulAttr).TransA)
	rows, lead := y[len(y)-2], len(y)-2
	if len(in[1].Shape) == 2 { // one matrix for all rows
		rows *= prod(y[:lead])
	}
	return b.blasSpace(rows, y[lead+1], k, in, out)
}

// blasProduct returns the step of a product by cuBLASLt, whose sizes, strides,
// activation and batch are set in p, and what it is added to, before all is rounded; nil if it goes by the kernels: for activations,
// whose numbers the library does not promise (nor that a NaN passes them), for a bias
// of another type, for batches that lie in several axes, and where the library has no
// algorithm.
func (b *Backend) blasProduct(p *matmulParams, x, w, bias, y, scratch kernels.Tensor, tf32 bool) (kernels.Step, error) {
	if b.blas == nil || p.up != 0 || p.activation != 0 || p.batch.rank > 1 || y.Len() == 0 || scratch.Buffer == nil || scratch.Len() < cublas.Workspace ||
		bias.Buffer != nil && bias.DType != y.DType || p.aRow != 1 && p.aColumn != 1 || p.bRow != 1 && p.bColumn != 1 {
		return nil, nil
	}
	at, err := b.pointers(y, x, w, bias, scratch)
	if err != nil {
		return nil, err
	}
	z := cublas.Product{M: int64(p.m), N: int64(p.n), K: int64(p.k), Batch: int64(p.batch.n), Type: blasTypes[x.DType], Out: blasTypes[y.DType], TF32: tf32,
		A: cublas.Matrix{At: at[1], Row: p.aRow, Column: p.aColumn, Batch: p.batch.stride[0][0]},
		B: cublas.Matrix{At: at[2], Row: p.bRow, Column: p.bColumn, Batch: p.batch.stride[1][0]},
		Y: at[0], Bias: at[3], Plus: p.plus, Workspace: at[4]}
	if z.Batch > 1 && z.B.Batch == 0 && z.A.Column == 1 && z.A.Batch == z.M*z.A.Row { // rows of all the batch lie one after the other
		z.M, z.Batch = z.M*z.Batch, 1
	}
	if !b.byCuBLAS(int(z.M), int(z.N), int(z.K), x.DType, w.DType, y.DType) {
		return nil, nil
	}
	bound, err := b.blas.Bind(z, b.stream)
	if errors.Is(err, cublas.ErrNoAlgorithm) && !errors.Is(err, driver.ErrLost) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return func(ctx context.Context) error {
		if in, ok := ctx.(*inside); ok {
			in.root.launches++
			return b.blasError(bound.Put())
		}
		return b.blasError(b.alone(bound.Run))
	}, nil
}

// blasError is what the driver says of a device on which the library failed, if it
// is lost: the library only says that something failed.
func (b *Backend) blasError(err error) error {
	if err == nil {
		return nil
	}
	if _, lost := b.device.FreeMemory(); errors.Is(lost, driver.ErrLost) {
		err = lost
	}
	return fmt.Errorf("cuda: %w", err)
}
