package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/half"
)

// vec is the memory of a tensor as a row of n elements.
type vec struct {
	p     unsafe.Pointer // nil for an input that was left out
	dtype ir.DType
	n     int
	rows  *asm.Vector // how rows are converted; nil only for F32
}

// view resolves a tensor: its memory, checked for size and alignment. In a
// layout that is not row-major, n is the elements that layout stores; of a type
// in blocks, the bytes.
func (b *Backend) view(t kernels.Tensor) (vec, error) {
	if t.Buffer == nil {
		return vec{}, nil
	}
	u, ok := t.Buffer.(*buffer)
	if !ok {
		return vec{}, fmt.Errorf("cpu: a tensor in memory of another device, %T", t.Buffer)
	}
	n, size := t.Len(), t.DType.Size()
	switch typ := ir.T(t.DType, t.Shape...); {
	case t.DType.Blocked():
		n, size = int(b.LayoutBytes(t.Layout, typ)), 1
	case t.Layout != "":
		n = int(b.LayoutBytes(t.Layout, typ)) / size
	}
	if err := u.check("view", t.Offset, n*size); err != nil {
		return vec{}, err
	}
	if n == 0 {
		return vec{p: unsafe.Pointer(&u), dtype: t.DType, rows: &b.asm.Vector}, nil
	}
	p := unsafe.Pointer(&u.data[t.Offset])
	if uintptr(p)%uintptr(size) != 0 {
		return vec{}, fmt.Errorf("cpu: a tensor of %v at address ...%x, which is not aligned to %d bytes", t.DType, uintptr(p)&0xff, size)
	}
	return vec{p: p, dtype: t.DType, n: n, rows: &b.asm.Vector}, nil
}

// views resolves tensors, in order.
func (b *Backend) views(ts ...kernels.Tensor) ([]vec, error) {
	out := make([]vec, len(ts))
	for i, t := range ts {
		v, err := b.view(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %d: %w", i, err)
		}
		out[i] = v
	}
	return out, nil
}

// scratch resolves the scratch of a step as n floats.
func (b *Backend) scratch(a kernels.Args, n int) ([]float32, error) {
	if n == 0 {
		return nil, nil
	}
	v, err := b.view(a.Scratch)
	if err != nil {
		return nil, err
	}
	if v.n < 4*n || uintptr(v.p)%4 != 0 {
		return nil, fmt.Errorf("cpu: scratch of %d bytes, want %d", v.n, 4*n)
	}
	return unsafe.Slice((*float32)(v.p), n), nil
}

func (v vec) there() bool { return v.p != nil }

// slice views the elements as T, which must be of their size.
func slice[T any](v vec) []T { return unsafe.Slice((*T)(v.p), v.n) }

func (v vec) f32() []float32 { return slice[float32](v) }

// at returns the address of element i.
func (v vec) at(i int) *byte { return (*byte)(unsafe.Add(v.p, i*v.dtype.Size())) }

// bytes views the elements from i to j as bytes.
func (v vec) bytes(i, j int) []byte { return unsafe.Slice(v.at(i), (j-i)*v.dtype.Size()) }

// storage says how the vector kernels read v.
func (v vec) storage() asm.Storage {
	switch v.dtype {
	case ir.BF16:
		return asm.BF16
	case ir.F16:
		return asm.F16
	}
	return asm.F32
}

// stored reports whether d is a type that activations and weights have: it is
// read as float32, and written rounded.
func stored(d ir.DType) bool { return d == ir.F32 || d == ir.BF16 || d == ir.F16 }

// load widens the elements from i on to dst.
func (v vec) load(dst []float32, i int) {
	switch v.dtype {
	case ir.F32:
		copy(dst, v.f32()[i:i+len(dst)])
	case ir.BF16:
		v.rows.WidenBF16(dst, slice[uint16](v)[i:i+len(dst)])
	case ir.F16:
		v.rows.WidenF16(dst, slice[uint16](v)[i:i+len(dst)])
	case ir.Q8_0:
		v.rows.WidenQ8(dst, v.blocks(i, len(dst)))
	}
}

// blocks are those of the n elements from i on, of a type in blocks.
func (v vec) blocks(i, n int) []byte {
	block, size := v.dtype.Block()
	return v.bytes8()[i/block*size : (i+n)/block*size]
}

// store rounds src to the elements from i on.
func (v vec) store(i int, src []float32) {
	switch v.dtype {
	case ir.F32:
		copy(v.f32()[i:i+len(src)], src)
	case ir.BF16:
		v.rows.NarrowBF16(slice[uint16](v)[i:i+len(src)], src)
	case ir.F16:
		v.rows.NarrowF16(slice[uint16](v)[i:i+len(src)], src)
	case ir.Q8_0:
		quantiseQ8(v.blocks(i, len(src)), src)
	}
}

// one returns element i. Unlike load it takes no memory.
func (v vec) one(i int) float32 {
	switch v.dtype {
	case ir.BF16:
		return half.BF16ToF32(slice[uint16](v)[i])
	case ir.F16:
		return half.F16ToF32(slice[uint16](v)[i])
	}
	return v.f32()[i]
}

// set rounds x to element i.
func (v vec) set(i int, x float32) {
	switch v.dtype {
	case ir.BF16:
		slice[uint16](v)[i] = half.F32ToBF16(x)
	case ir.F16:
		slice[uint16](v)[i] = half.F32ToF16(x)
	default:
		v.f32()[i] = x
	}
}

// tile returns the n elements from i on as float32: the memory itself, or
// widened into buf.
func (v vec) tile(buf []float32, i, n int) []float32 {
	if v.dtype == ir.F32 {
		return v.f32()[i : i+n]
	}
	v.load(buf[:n], i)
	return buf[:n]
}

// room returns where to compute the n elements from i on: the memory itself,
// or buf, which done then stores.
func (v vec) room(buf []float32, i, n int) []float32 {
	if v.dtype == ir.F32 {
		return v.f32()[i : i+n]
	}
	return buf[:n]
}

// done stores what was computed in room's buf.
func (v vec) done(buf []float32, i int) {
	if v.dtype != ir.F32 {
		v.store(i, buf)
	}
}

// rows is the number of rows of a shape, all axes but the last, and dim the
// size of a row.
func rows(shape []int) (n, dim int) {
	if len(shape) == 0 {
		return 1, 1
	}
	return prod(shape[:len(shape)-1]), shape[len(shape)-1]
}

func prod(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// parts is how many parts of about grain units n units make, at least one.
func parts(n, grain int) int { return max(1, (n+grain-1)/grain) }

// span is the range of part i when every part has grain units of n.
func span(i, n, grain int) (lo, hi int) { return i * grain, min(n, (i+1)*grain) }

// vecOf is the memory of x.
func vecOf(x []float32) vec {
	return vec{p: unsafe.Pointer(unsafe.SliceData(x)), dtype: ir.F32, n: len(x)}
}
