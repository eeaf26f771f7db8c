// Package cuda is the backend for NVIDIA's GPUs. Kernels are C++ in source/, of
// which clang makes the PTX in ptx/ that is embedded here; the driver compiles
// that for the device when a kernel is first bound.
//
// A result has the same bits at every run and in any company in the batch: each
// sum has an order that its length alone fixes. Tensors lie row-major, but for
// weights in blocks: see Planes. An op without a kernel is lowered, and where it
// can't be, the plan is refused. A step returns when its kernel is in the stream,
// not when it is done, but for those that read places from a tensor: alone, they
// wait, so that a place that is out of range is told. The steps of a plan run as a
// group: from its second run on it is one graph, and such a place is told at the
// end, of the line that asked for it.
//
// So far all of it has run in the emulator of kernels/cuda/emulator only, on no
// GPU.
package cuda

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/cublas"
	"pipe.dev/kernels/cuda/driver"
)

//go:embed ptx/*.ptx
var ptx embed.FS

// Options says how to open the backend.
type Options struct {
	Library string // the path of libcuda; "" means where drivers put it
	Ordinal int    // of the device
	// CuBLAS is the path of libcublasLt, by which large products then go, or
	// FindCuBLAS; "" means that none do. What a row of such a product gives may
	// depend on how many rows there are.
	CuBLAS string
}

// Backend runs kernels on one device, in one stream.
type Backend struct {
	device *driver.Device
	stream *driver.Stream
	stage  stage
	table  map[string]maker
	order  sync.RWMutex // read by who puts into the stream, written by who records what is put there

	blocked map[string]maker // for weights in blocks

	mostLogits int // of a chunk, if it is set

	mu        sync.Mutex
	modules   map[string]*driver.Module
	functions map[string]*driver.Function
	tables    map[[32]byte]driver.Pointer // what kernels read that is not a tensor, by its hash
	faults    faults
	graphs    map[*driver.Graph]bool
	held      held

	blas *cublas.Handle // nil: products are the kernels'

	wgmma struct {
		sync.Mutex
		good map[string]bool // of what was tried: whether it gives what it must
		warn io.Writer
	}
}

// maker makes the kernel of an op for the given element types and ranks, or
// reports that there is none.
type maker func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool)

// New opens the backend. It fails where there is no driver or no device that
// will do; driver says which.
func New(o Options) (*Backend, error) {
	d, err := driver.Open(driver.Options{Library: o.Library, Ordinal: o.Ordinal})
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	b := &Backend{device: d, table: table(), blocked: blocked(), modules: map[string]*driver.Module{}, functions: map[string]*driver.Function{},
		tables: map[[32]byte]driver.Pointer{}, graphs: map[*driver.Graph]bool{}}
	b.wgmma.good, b.wgmma.warn = map[string]bool{}, os.Stderr
	if err := errors.Join(b.open(), b.openCuBLAS(o.CuBLAS)); err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return b, nil
}

func (b *Backend) open() (err error) {
	if b.stream, err = b.device.NewStream(); err != nil {
		return err
	}
	return b.stage.open(b.device, b.stream, &b.order)
}

// Name returns "cuda".
func (b *Backend) Name() string { return "cuda" }

// Device says what the device is.
func (b *Backend) Device() driver.Info { return b.device.Info }

// FreeMemory returns the bytes of device memory that can still be allocated.
func (b *Backend) FreeMemory() (int64, error) { return b.device.FreeMemory() }

// Align is what the widest loads of a warp like.
func (b *Backend) Align() int64 { return 256 }

// Kernel finds the kernel for an op. Tensors may have up to 8 axes.
func (b *Backend) Kernel(op string, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	m, ok := b.table[op]
	if slices.ContainsFunc(in, func(t ir.Type) bool { return t.DType.Blocked() }) {
		m, ok = b.blocked[op]
	}
	for _, t := range append(in[:len(in):len(in)], out...) {
		ok = ok && len(t.Shape) <= axes
	}
	for _, t := range out {
		ok = ok && (!t.DType.Blocked() || op == "cache_append")
	}
	if !ok {
		return nil, false
	}
	return m(b, attr, in, out)
}

// Sync waits until all steps are done, and returns what went wrong in any.
func (b *Backend) Sync(ctx context.Context) error {
	if in, ok := ctx.(*inside); ok && in.root.recording {
		return errRecording
	} else if !ok {
		b.order.RLock()
		defer b.order.RUnlock()
	}
	if err := b.stream.Sync(); err != nil {
		return fmt.Errorf("cuda: %w", err)
	}
	return ctx.Err()
}

// Close gives the device back. Nothing of the backend may be used after.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ends := []func() error{b.stream.Sync}
	for g := range b.graphs {
		ends = append(ends, g.Close)
	}
	b.graphs = nil
	for _, m := range b.modules {
		ends = append(ends, m.Close)
	}
	for _, at := range b.tables {
		ends = append(ends, func() error { return b.device.Free(at) })
	}
	if b.blas != nil {
		ends = append(ends, b.blas.Close)
	}
	var first error
	for _, end := range append(ends, b.faults.close, b.stage.close, b.stream.Close, b.device.Close) {
		if err := gone(end()); first == nil {
			first = err
		}
	}
	return first
}

// kernel is a kernels.Kernel made of functions; inPlace may be nil, for never,
// and scratch, for none.
type kernel struct {
	bind    func(a kernels.Args) (kernels.Step, error)
	inPlace func(i int) bool
	scratch func(attr any, in, out []ir.Type) int64
}

// Bind resolves arguments once.
func (k kernel) Bind(a kernels.Args) (kernels.Step, error) { return k.bind(a) }

// Scratch returns the bytes of temporary memory that one run needs.
func (k kernel) Scratch(attr any, in, out []ir.Type) int64 {
	if k.scratch == nil {
		return 0
	}
	return k.scratch(attr, in, out)
}

// InPlace says that the first output may lie where input in lies.
func (k kernel) InPlace(out, in int) bool { return k.inPlace != nil && out == 0 && k.inPlace(in) }
