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

// streamPart is how many elements of a result that is written past the caches
// make a part: the fence at its end waits for all that is under way.
const streamPart = 8 * grain

// result is where tiles of floats are computed and stored.
type result struct {
	vec
	b      *Backend
	stream bool // they are copied past the caches
}

// resultOf is y as the result of an elementwise step over operands.
func (b *Backend) resultOf(y vec, operands ...vec) result {
	return result{y, b, b.streams(y, 16, operands...)}
}

// room returns where to compute the n elements from i on: the memory itself, or
// buf, which done then stores.
func (r *result) room(buf []float32, i, n int) []float32 {
	if r.stream {
		return buf[:n]
	}
	return r.vec.room(buf, i, n)
}

// done stores what was computed in room.
func (r *result) done(y []float32, i int) {
	if r.stream {
		r.b.asm.Stream.Copy(r.f32()[i:i+len(y)], y)
		return
	}
	r.vec.done(y, i)
}

// tiled returns a step that calls body for every tile.
func (r *result) tiled(body func(local []float32, i, n int)) kernels.Step {
	if !r.stream {
		return r.b.tiled(r.n, body)
	}
	return r.b.tiles(r.n, streamPart, r.b.asm.Stream.Fence, body)
}

// tiles returns a step that calls body for every tile of n elements, and then,
// which may be nil, at the end of each part.
func (b *Backend) tiles(n, part int, then func(), body func(local []float32, i, n int)) kernels.Step {
	if n == 0 {
		return b.step(0, nil)
	}
	return b.step(parts(n, part), func(worker, id int) {
		lo, hi := span(id, n, part)
		for i := lo; i < hi; i += tile {
			body(b.local[worker], i, min(tile, hi-i))
		}
		if then != nil {
			then()
		}
	})
}

// rowParts returns a step that calls body for every one of n rows of dim
// elements, about part of them in a part.
func (b *Backend) rowParts(n, dim, part int, stream bool, body func(local []float32, at int)) kernels.Step {
	then := func() {}
	if stream {
		part, then = streamPart, b.asm.Stream.Fence
	}
	perPart := max(1, part/max(dim, 1))
	return b.step(parts(n, perPart), func(worker, id int) {
		lo, hi := span(id, n, perPart)
		for r := lo; r < hi; r++ {
			body(b.local[worker], r*dim)
		}
		then()
	})
}
