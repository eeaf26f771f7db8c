package cublas

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"pipe.dev/kernels/cuda/driver"
)

// DType is an element type, as library_types.h numbers them.
type DType int32

// The element types of products.
const (
	F32  DType = 0
	F16  DType = 2
	BF16 DType = 14
)

// Workspace is the bytes that an algorithm may use, what NVIDIA advises for
// capability 9.0.
const Workspace = 32 << 20

// Matrix is an operand [rows, columns]: element i, j is Row*i + Column*j elements
// from At, one of the two being 1, and the next of a batch is Batch further.
type Matrix struct {
	At          driver.Pointer
	Row, Column int64
	Batch       int64
}

// Product is y = a b + bias + plus, row-major: a [batch, m, k], b [batch, k, n], bias
// [n], y and plus [batch, m, n]. Sums are of f32, rounded once.
type Product struct {
	M, N, K, Batch int64
	Type, Out      DType // of a and b, and of y and the bias
	TF32           bool  // f32 may be rounded to tf32
	A, B           Matrix
	Y, Bias, Plus  driver.Pointer // no bias, or nothing that is added, is 0
	Workspace      driver.Pointer // of Workspace bytes
}

// before is what the product is added to, or y, which then counts as nothing.
func (p Product) before() driver.Pointer {
	if p.Plus != 0 {
		return p.Plus
	}
	return p.Y
}

// attributes, as cublasLt.h numbers them.
const (
	descTransA      = 3
	descTransB      = 4
	descEpilogue    = 7
	descBiasPointer = 8

	layoutBatchCount  = 5
	layoutBatchOffset = 6

	preferenceWorkspace = 1
	preferenceReduction = 3
	preferenceAlignment = 5 // of a; b, c and d follow

	computeF32      = 68 // products of 16 bits, exact, summed in f32
	computePedantic = 69 // f32, whatever the environment says of shorter products
	computeTF32     = 77 // f32 rounded to tf32

	epilogueNone = 1
	epilogueBias = 4

	reductionF32 = 2 // parts of sums are f32, and have an order
)

// heuristic is cublasLtMatmulHeuristicResult_t.
type heuristic struct {
	algorithm [8]uint64
	workspace uint64
	state     int32
	waves     float32
	reserved  [4]int32
}

// Bound is a product with its algorithm.
type Bound struct {
	h      *Handle
	found  heuristic
	made   descriptors
	args   []uintptr
	Stream *driver.Stream
}

// descriptors are what the library made for a product.
type descriptors struct {
	lib                        *library
	desc, a, b, y, preferences uintptr
}

// free gives them back.
func (d descriptors) free() {
	for _, x := range []struct {
		how  symbol
		what uintptr
	}{{symDescDestroy, d.desc}, {symLayoutDestroy, d.a}, {symLayoutDestroy, d.b}, {symLayoutDestroy, d.y}, {symPreferenceDestroy, d.preferences}} {
		if x.what != 0 {
			d.lib.do(x.how, x.what)
		}
	}
}

// Bind settles how p is computed, in stream s. It fails with ErrNoAlgorithm where
// the library can't.
func (h *Handle) Bind(p Product, s *driver.Stream) (*Bound, error) {
	if err := h.device.Enter(); err != nil {
		return nil, err
	}
	defer h.device.Leave()
	x := &Bound{h: h, made: descriptors{lib: h.lib}, Stream: s}
	err := x.layouts(p)
	if err == nil {
		err = x.prefer(p)
	}
	if err == nil {
		err = x.choose()
	}
	if err != nil {
		x.made.free()
		return nil, fmt.Errorf("product of [%d, %d, %d] and [%d, %d]: %w", p.Batch, p.M, p.K, p.K, p.N, err)
	}
	runtime.AddCleanup(x, descriptors.free, x.made)
	at := func(p *float32) uintptr { return uintptr(unsafe.Pointer(p)) }
	factor := &h.one[1]
	if p.Plus != 0 {
		factor = &h.one[0]
	}
	x.args = []uintptr{h.handle, x.made.desc, at(&h.one[0]), uintptr(p.B.At), x.made.b, uintptr(p.A.At), x.made.a, at(factor), uintptr(p.before()), x.made.y,
		uintptr(p.Y), x.made.y, uintptr(unsafe.Pointer(&x.found.algorithm)), uintptr(p.Workspace), Workspace, s.Handle()}
	return x, nil
}

// Put puts the product into its stream, between Enter and Leave of the device. It
// does not allocate.
func (x *Bound) Put() error {
	err := x.h.lib.check(symMatmul, int32(driver.Call(x.h.lib.at[symMatmul], x.args...)))
	runtime.KeepAlive(x)
	return err
}

// Run is Put on a thread of the caller's.
func (x *Bound) Run() error {
	if err := x.h.device.Enter(); err != nil {
		return err
	}
	defer x.h.device.Leave()
	return x.Put()
}

// layouts makes the descriptors of a product. The library counts by columns, and
// y by rows is yᵀ = bᵀ aᵀ by columns: b is its first operand and a the second.
func (x *Bound) layouts(p Product) error {
	lib, d := x.h.lib, &x.made
	compute := uintptr(computeF32)
	switch {
	case p.Type == F32 && p.TF32:
		compute = computeTF32
	case p.Type == F32:
		compute = computePedantic
	}
	err := lib.do(symDescCreate, uintptr(unsafe.Pointer(&d.desc)), compute, uintptr(F32))
	if err != nil {
		return err
	}
	epilogue := int32(epilogueNone)
	if p.Bias != 0 {
		epilogue = epilogueBias
		err = set(lib, symDescSet, d.desc, descBiasPointer, p.Bias)
	}
	transB, errB := x.operand(&d.b, p.Type, p.B, p.K, p.N, p.Batch)
	transA, errA := x.operand(&d.a, p.Type, p.A, p.M, p.K, p.Batch)
	_, errY := x.operand(&d.y, p.Out, Matrix{p.Y, p.N, 1, p.M * p.N}, p.M, p.N, p.Batch)
	return errors.Join(err, errB, errA, errY, set(lib, symDescSet, d.desc, descEpilogue, epilogue),
		set(lib, symDescSet, d.desc, descTransA, transB), set(lib, symDescSet, d.desc, descTransB, transA))
}

// operand makes the layout of a matrix, as the library sees its transpose: 0 if
// rows lie together, so that columns of the transpose do, and 1 if columns do.
func (x *Bound) operand(to *uintptr, t DType, m Matrix, rows, columns, batch int64) (transposed int32, err error) {
	lib, long := x.h.lib, m.Row
	if m.Column != 1 {
		rows, columns, long, transposed = columns, rows, m.Column, 1
	}
	if err := lib.do(symLayoutCreate, uintptr(unsafe.Pointer(to)), uintptr(t), uintptr(columns), uintptr(rows), uintptr(long)); err != nil {
		return 0, err
	}
	if batch > 1 {
		err = errors.Join(set(lib, symLayoutSet, *to, layoutBatchCount, int32(batch)), set(lib, symLayoutSet, *to, layoutBatchOffset, m.Batch))
	}
	return transposed, err
}

// prefer says which algorithms will do.
func (x *Bound) prefer(p Product) error {
	lib, d := x.h.lib, &x.made
	if err := lib.do(symPreferenceCreate, uintptr(unsafe.Pointer(&d.preferences))); err != nil {
		return err
	}
	err := errors.Join(set(lib, symPreferenceSet, d.preferences, preferenceWorkspace, uint64(Workspace)),
		set(lib, symPreferenceSet, d.preferences, preferenceReduction, uint32(reductionF32)))
	for i, at := range []driver.Pointer{p.B.At, p.A.At, p.before(), p.Y} {
		err = errors.Join(err, set(lib, symPreferenceSet, d.preferences, preferenceAlignment+i, uint32(alignment(at))))
	}
	return err
}

// choose asks the library for its best algorithm.
func (x *Bound) choose() error {
	lib, d := x.h.lib, &x.made
	var n int32
	err := lib.do(symHeuristic, x.h.handle, d.desc, d.b, d.a, d.y, d.y, d.preferences, 1, uintptr(unsafe.Pointer(&x.found)), uintptr(unsafe.Pointer(&n)))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoAlgorithm, err)
	case n < 1:
		return ErrNoAlgorithm
	case x.found.state != 0:
		return fmt.Errorf("%w: %w", ErrNoAlgorithm, lib.check(symHeuristic, x.found.state))
	case x.found.workspace > Workspace:
		return fmt.Errorf("%w: it needs %d bytes of workspace", ErrNoAlgorithm, x.found.workspace)
	}
	return nil
}

// alignment is the largest power of two, 256 at most, that an address is a multiple of.
func alignment(at driver.Pointer) driver.Pointer { return min(at&-at, 256) }

// set gives an attribute of a thing of the library its value.
func set[T any](lib *library, how symbol, what uintptr, attribute int, value T) error {
	v := new(T)
	*v = value
	err := lib.do(how, what, uintptr(attribute), uintptr(unsafe.Pointer(v)), unsafe.Sizeof(value))
	if err != nil {
		return fmt.Errorf("attribute %d: %w", attribute, err)
	}
	return nil
}
