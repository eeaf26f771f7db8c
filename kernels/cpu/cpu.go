// Package cpu is the backend for the processor: portable Go kernels, with
// vector kernels for products and attention where the machine has them, run
// by a pool of workers.
//
// A result has the same bits for any number of threads, for any instruction
// set, and for any company in the batch: sums are taken in an order that only
// the shape fixes. It does not read the environment, and it does not choose
// among plans: it runs the steps it is given.
package cpu

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/cpu/pool"
)

// Options says how to open the backend. The zero Options is the best the
// machine has.
type Options struct {
	Threads int    // threads that run kernels; 0 means all cores
	Tier    string // instruction set, as Tiers names them; "" means the best
}

// Backend runs kernels on the processor.
type Backend struct {
	tier      string
	asm       asm.Kernels
	pool      *pool.Pool
	local     [][]float32 // by worker: localFloats of memory for tiles
	table     map[string]maker
	ones      map[string]fn1[float32] // functions of one operand
	twos      map[string]float2
	slabs     slabs
	allocated atomic.Int64

	streamFrom int // bytes of the smallest result that is written past the caches
}

// localFloats is the memory that each worker has for the tiles of a kernel.
// It belongs to the backend, so that no plan depends on the number of threads.
const localFloats = 1 << 17

// workerFloats is what a worker has in all: one kernel needs more.
const workerFloats = max(localFloats, winoRoom)

// maker makes the kernel of an op for the given element types and ranks, or
// reports that there is none.
type maker func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool)

// New opens the backend and starts its workers. It fails when the processor
// lacks the tier.
func New(o Options) (*Backend, error) {
	if !littleEndian() {
		return nil, errors.New("cpu: tensors are little-endian, but this processor is not")
	}
	t, err := findTier(o.Tier)
	if err != nil {
		return nil, err
	}
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	b := &Backend{tier: t.name, asm: t.kernels(), pool: pool.New(threads), table: table(), streamFrom: streamBytes}
	b.ones, b.twos = ones(&b.asm.Vector), twos(&b.asm.Vector)
	b.local = make([][]float32, threads)
	for i := range b.local {
		b.local[i] = make([]float32, workerFloats)
	}
	return b, nil
}

// Name returns "cpu".
func (b *Backend) Name() string { return "cpu" }

// Tier returns the name of the instruction set in use.
func (b *Backend) Tier() string { return b.tier }

// Facts are what decides bits and is not in a plan: for the record of a run.
func (b *Backend) Facts() map[string]string {
	return map[string]string{"device": b.Name(), "tier": b.tier}
}

// Threads returns the number of threads that run kernels.
func (b *Backend) Threads() int { return b.pool.Threads() }

// Allocated returns the bytes of all buffers that Alloc gave and that are not
// freed.
func (b *Backend) Allocated() int64 { return b.allocated.Load() }

// Align is a cache line, and the width of the widest vector.
func (b *Backend) Align() int64 { return 64 }

// Kernel finds the kernel for an op. Tensors may have up to 16 axes.
func (b *Backend) Kernel(op string, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	m, ok := b.table[op]
	for _, t := range append(in[:len(in):len(in)], out...) {
		ok = ok && len(t.Shape) <= maxRank && (!t.DType.Blocked() || readsBlocks(op))
	}
	if !ok {
		return nil, false
	}
	return m(b, attr, in, out)
}

// Sync returns at once: steps are done when they return.
func (b *Backend) Sync(ctx context.Context) error { return ctx.Err() }

// Close ends the workers. Buffers live on.
func (b *Backend) Close() error {
	b.pool.Close()
	return nil
}

// kernel is a kernels.Kernel made of functions; scratch and inPlace may be
// nil, for none and never. What inPlace says of output 0 holds for all if they
// are alike.
type kernel struct {
	bind    func(a kernels.Args) (kernels.Step, error)
	scratch func(attr any, in, out []ir.Type) int64
	inPlace func(i int) bool
	alike   bool
}

func (k kernel) Bind(a kernels.Args) (kernels.Step, error) { return k.bind(a) }

func (k kernel) Scratch(attr any, in, out []ir.Type) int64 {
	if k.scratch == nil {
		return 0
	}
	return k.scratch(attr, in, out)
}

// InPlace is inPlace for output 0, and for the others if they are alike.
func (k kernel) InPlace(out, in int) bool {
	return k.inPlace != nil && (out == 0 || k.alike) && k.inPlace(in)
}

// step returns a Step that runs n parts of f.
func (b *Backend) step(n int, f pool.Func) kernels.Step {
	return func(context.Context) error {
		b.pool.Run(n, f)
		return nil
	}
}

// sequence runs steps one after another.
func sequence(steps ...kernels.Step) kernels.Step {
	return func(ctx context.Context) error {
		for _, s := range steps {
			if err := s(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
