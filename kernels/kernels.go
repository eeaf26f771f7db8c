// Package kernels is the contract between the executor and a device: buffers,
// tensors placed in them, and kernels that are bound to such tensors once and
// then run many times.
//
// It knows no plan and no document. A kernel gets placed, typed tensors and
// its scratch; it never allocates while it runs, and it never infers a shape.
package kernels

import (
	"context"
	"fmt"
	"time"

	"pipe.dev/compiler/ir"
)

// Buffer is a run of device memory.
type Buffer interface {
	Size() int64
	Write(offset int64, src []byte) error
	Read(offset int64, dst []byte) error
	Free() error
}

// Direct is a Buffer in the machine's memory.
type Direct interface {
	// Bytes is that memory, which is the buffer's until it is freed.
	Bytes() []byte
}

// Mover is a Buffer that copies within itself without the host.
type Mover interface {
	// Move copies n bytes from one place to another, behind all steps that were called
	// before. The places do not overlap.
	Move(to, from, n int64) error
}

// Tensor is a typed view of device memory. The zero Tensor stands for an
// input that was left out.
type Tensor struct {
	Buffer Buffer
	Offset int64 // bytes
	DType  ir.DType
	Shape  []int // outermost first
	Layout ir.Layout
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Args is what a kernel is bound to. Attr is the attribute struct of the op.
type Args struct {
	Attr    any
	In, Out []Tensor
	Scratch Tensor // U8, of the size that Kernel.Scratch asked for
}

// Step runs a bound kernel once. It must not allocate. A step may read and
// write only what it was bound to.
type Step func(ctx context.Context) error

// Kernel computes one op.
type Kernel interface {
	// Scratch returns the bytes of temporary memory one run needs; in and out
	// are Known types.
	Scratch(attr any, in, out []ir.Type) int64
	// Bind resolves args once. It fails for what the kernel cannot do, naming
	// the fact.
	Bind(args Args) (Step, error)
	// InPlace says that an output may lie exactly where input in lies; several
	// outputs of one call lie over different inputs.
	InPlace(out, in int) bool
}

// LayoutScratch is a Kernel that needs less scratch where some of its inputs lie
// in a layout of theirs. Scratch returns the most.
type LayoutScratch interface {
	// ScratchOf is Scratch for inputs in the given layouts.
	ScratchOf(attr any, in, out []ir.Type, layouts []ir.Layout) int64
}

// Scratch returns the bytes of temporary memory that one run of k needs for
// inputs in the given layouts.
func Scratch(k Kernel, attr any, in, out []ir.Type, layouts []ir.Layout) int64 {
	if l, ok := k.(LayoutScratch); ok {
		return l.ScratchOf(attr, in, out, layouts)
	}
	return k.Scratch(attr, in, out)
}

// Backend is a device that runs steps in the order in which they are called.
type Backend interface {
	Name() string
	// Alloc returns memory of the given size, zeroed, aligned to Align.
	Alloc(bytes int64) (Buffer, error)
	// Map returns a read-only Buffer over host memory without a copy, or false
	// if the device cannot read host memory or data is not aligned for it.
	Map(data []byte) (Buffer, bool)
	// Align is the alignment of every tensor, bytes.
	Align() int64
	// Kernel finds the kernel for an op, or false. in and out may hold named
	// sizes: only element types and ranks decide.
	Kernel(op string, attr any, in, out []ir.Type) (Kernel, bool)
	// Layout returns the layout in which op reads weight input i fastest, and
	// whether it can also read it row-major or in another op's layout.
	Layout(op string, attr any, i int, weight ir.Type) ir.Layout
	// Accepts reports whether op can read weight input i in layout l.
	Accepts(op string, attr any, i int, weight ir.Type, l ir.Layout) bool
	// LayoutBytes returns the bytes of a weight in layout l.
	LayoutBytes(l ir.Layout, weight ir.Type) int64
	// Pack writes src, row-major, into dst at offset in layout l.
	Pack(l ir.Layout, weight ir.Type, dst Buffer, offset int64, src []byte) error
	// Sync waits until everything called before is done.
	Sync(ctx context.Context) error
	Close() error
}

// OwnMemory is a Backend whose memory is not the machine's.
type OwnMemory interface {
	// FreeMemory returns the bytes that can still be allocated.
	FreeMemory() (int64, error)
}

// Feeder is a Backend that copies to its memory beside what it computes.
type Feeder interface {
	// Inlet allocates memory for bytes on their way to other buffers.
	Inlet(bytes int64) (Inlet, error)
}

// Inlet is memory of a device that is filled while steps run.
type Inlet interface {
	// Fill begins to copy src to a place, beside all that runs, once what lay there was taken. src may change
	// when it returns.
	Fill(offset int64, src []byte) error
	// Take copies n bytes to a place in a buffer, behind all steps that were called before, once they are there.
	Take(offset, n int64, to Buffer, at int64) error
	Free() error
}

// Rehearser is a Backend that can bind steps before there is memory for them, so
// that what binding takes is known beforehand.
type Rehearser interface {
	// Nowhere returns a buffer without memory: steps that are bound to it must not run.
	Nowhere(bytes int64) Buffer
	// Beyond lists what is held by now beside buffers.
	Beyond() []Beyond
}

// Beyond is memory that is held beside buffers.
type Beyond struct {
	What  string
	Bytes int64
	Host  bool // of the machine, not of the device
}

// Grouper is a Backend that runs steps that belong together with less work than
// one by one.
type Grouper interface {
	// Group makes one of steps, which are bound and from now on run in it, in
	// their order. say puts into an error which step it is of. A step of a group
	// may run another group, with the context it was given.
	Group(steps []Step, say func(step int, err error) error) Group
}

// Group is steps that run as one.
type Group interface {
	// Run runs the steps. It may return before they are done, and what goes wrong
	// in them may be told by Wait only, so also an index that is out of range.
	Run(ctx context.Context) error
	// Wait waits until every run is done, and says what went wrong. With the
	// context of a step of another group it leaves that to the other's Wait.
	Wait(ctx context.Context) error
}

// Describer is a Backend that knows what decides the bits of results and stands in
// no plan.
type Describer interface {
	// Facts are its names and values, for the record of a run.
	Facts() map[string]string
}

// Measurer is a Backend that can measure what it can do at most.
type Measurer interface {
	Limits(ctx context.Context) (Limits, error)
}

// Clock is a Backend that runs steps after they were called, and measures how long
// they take there.
type Clock interface {
	// Took runs a step again and again, for some time together, and returns the
	// seconds of one run, as each of several measurements has it.
	Took(ctx context.Context, step Step, time time.Duration) ([]float64, error)
}

// Limits are the most that a device can do, as it measured itself, with all
// threads that run kernels.
type Limits struct {
	FLOPs             float64 // float32 multiply-adds a second, each counted as two
	HalfFLOPs         float64 // the same of 16-bit floats, summed in float32; 0 if they are no quicker
	HalfBF16          bool    // HalfFLOPs are of bf16 alone
	ByteOPs           float64 // multiply-adds of bytes a second, each counted as two; 0 if it has none for these
	Read, Copy, Triad float64 // bytes a second of memory beyond the caches, read and written together
	Launch            float64 // seconds that a kernel takes at least, among others of a run; 0 if that is nothing
	Threads           int     // or multiprocessors
	With              string  // the instruction set
}

// IndexError says that a step read an index that is out of range.
type IndexError struct{ At, Index, Limit int }

func (e *IndexError) Error() string {
	return fmt.Sprintf("index %d is %d; want 0 to %d", e.At, e.Index, e.Limit-1)
}
