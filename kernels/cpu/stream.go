package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// streamBytes is the size from which on a result does not stay in the caches,
// so that it is written past them: the processor then need not read the
// memory that it is about to overwrite.
const streamBytes = 32 << 20

// streams reports whether y is written past the caches. Where it lies over an
// operand nothing would be gained, and a row of a multiple of 16 elements
// begins on a cache line.
func (b *Backend) streams(y vec, row int, operands ...vec) bool {
	for _, x := range operands {
		if x.p == y.p {
			return false
		}
	}
	return y.dtype == ir.F32 && 4*y.n >= b.streamFrom && row%16 == 0 && uintptr(y.p)%64 == 0
}

// tiledThen returns a step like that of tiled; after each part it calls then,
// which may be nil.
func (b *Backend) tiledThen(n int, then func(), body func(local []float32, i, n int)) kernels.Step {
	if n == 0 {
		return b.step(0, nil)
	}
	return b.step(parts(n, grain), func(worker, id int) {
		lo, hi := span(id, n, grain)
		for i := lo; i < hi; i += tile {
			body(b.local[worker], i, min(tile, hi-i))
		}
		if then != nil {
			then()
		}
	})
}
