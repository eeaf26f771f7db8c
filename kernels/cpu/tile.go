package cpu

import (
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// Elementwise kernels work on tiles: runs of the result short enough to stay
// in the first-level cache while several functions pass over them.

const (
	tile  = 1024 // elements of a tile
	grain = 8192 // elements of a part
)

// elem are the types in which tiles are computed. bf16 and f16 are float32 in
// a tile; bool is uint8.
type elem interface {
	float64 | float32 | int64 | int32 | int8 | uint8 | uint16 | uint32 | uint64
}

// buffer i of a worker, for a tile of any type.
func tileBuf[T elem](local []float32, i int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&local[2*tile*i])), tile)
}

// narrow reports whether v must be widened to float32 before it is computed.
func (v vec) narrow() bool { return v.dtype == ir.BF16 || v.dtype == ir.F16 }

// as views a slice as one of another type of the same size: T is float32.
func asFloat[T elem](x []T) []float32 { return *(*[]float32)(unsafe.Pointer(&x)) }

// input reads tiles of an operand that repeats to the result's shape by the
// rules of NumPy.
type input[T elem] struct {
	vec
	shape, strides []int // of the result, and of the operand there; nil if they are alike
}

func newInput[T elem](v vec, from, to []int) input[T] {
	in := input[T]{vec: v}
	if prod(from) != prod(to) {
		in.shape, in.strides = collapse(to, repeatStrides(from, to))
	}
	return in
}

// read returns n elements of the operand from place i of the result on: its
// memory, or buf.
func (in *input[T]) read(buf []T, i, n int) []T {
	if in.shape == nil {
		if in.narrow() {
			in.load(asFloat(buf[:n]), i)
			return buf[:n]
		}
		return slice[T](in.vec)[i : i+n]
	}
	last := len(in.shape) - 1
	width, step := in.shape[last], in.strides[last]
	rows := newWalker(in.shape[:last], in.strides, i/width)
	for done, col := 0, i%width; done < n; col = 0 {
		run := min(width-col, n-done)
		if step == 0 {
			in.fill(buf[done:done+run], rows.at)
		} else {
			in.run(buf[done:done+run], rows.at+col)
		}
		rows.next()
		done += run
	}
	return buf[:n]
}

// walker visits the elements of a tensor with the given strides, in C order.
type walker struct {
	shape, strides []int
	index          [maxRank]int
	at             int // the element
}

// maxRank is the most axes of a tensor, which a walker counts.
const maxRank = 16

// newWalker begins at element i in C order.
func newWalker(shape, strides []int, i int) walker {
	w := walker{shape: shape, strides: strides}
	for a := len(shape) - 1; a >= 0; a-- {
		w.index[a] = i % shape[a]
		w.at += w.index[a] * strides[a]
		i /= shape[a]
	}
	return w
}

func (w *walker) next() {
	for a := len(w.shape) - 1; a >= 0; a-- {
		w.at += w.strides[a]
		if w.index[a]++; w.index[a] < w.shape[a] {
			return
		}
		w.at -= w.strides[a] * w.shape[a]
		w.index[a] = 0
	}
}

// element is the operand's own element i.
func (in *input[T]) element(i int) T {
	if in.narrow() {
		x := in.one(i)
		return *(*T)(unsafe.Pointer(&x))
	}
	return slice[T](in.vec)[i]
}

func (in *input[T]) run(buf []T, at int) {
	if in.narrow() {
		in.load(asFloat(buf), at)
		return
	}
	copy(buf, slice[T](in.vec)[at:])
}

// fill repeats the element at place at: what is there, again and again.
func (in *input[T]) fill(buf []T, at int) {
	buf[0] = in.element(at)
	for n := 1; n < len(buf); n *= 2 {
		copy(buf[n:], buf[:n])
	}
}

// still reports whether the operand is one number along a run of the result
// that is worth a call.
func (in *input[T]) still() bool {
	last := len(in.shape) - 1
	return in.shape != nil && in.strides[last] == 0 && in.shape[last] >= stillRun
}

// stillRun is the shortest run for which a number takes the place of a row.
const stillRun = 16

// offset is the element at index i, in C order, of a tensor of some shape with
// the given strides.
func offset(i int, shape, strides []int) int {
	at := 0
	for a := len(shape) - 1; a >= 0; a-- {
		at += i % shape[a] * strides[a]
		i /= shape[a]
	}
	return at
}

// collapse joins axes that are walked as one. The result has at least one axis.
func collapse(shape, strides []int) (s, st []int) {
	for i, n := range shape {
		if n == 1 {
			continue
		}
		if k := len(s) - 1; k >= 0 && st[k] == n*strides[i] {
			s[k], st[k] = s[k]*n, strides[i]
			continue
		}
		s, st = append(s, n), append(st, strides[i])
	}
	if len(s) == 0 {
		return []int{1}, []int{0}
	}
	return s, st
}

// output is where tiles of the result are computed and stored.
type output[T elem] struct{ vec }

// room returns where to compute n elements from place i on.
func (o *output[T]) room(buf []T, i, n int) []T {
	if o.narrow() {
		return buf[:n]
	}
	return slice[T](o.vec)[i : i+n]
}

// keep stores what was computed in room.
func (o *output[T]) keep(y []T, i int) {
	if o.narrow() {
		o.store(i, asFloat(y))
	}
}

// tiled returns a step that calls body for every tile of n elements.
func (b *Backend) tiled(n int, body func(local []float32, i, n int)) kernels.Step {
	return b.tiles(n, grain, nil, body)
}

// sameType returns an inPlace for results that may lie over any input of the
// same element type and shape.
func sameType(in, out []ir.Type) func(i int) bool {
	return func(i int) bool { return i < len(in) && in[i].Equal(out[0]) }
}
