package cuda

import (
	"context"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// function loads a kernel: file names the PTX that holds it, of which no other is
// compiled.
func (b *Backend) function(file, name string) (*driver.Function, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, ok := b.functions[name]; ok {
		return f, nil
	}
	m, ok := b.modules[name]
	if !ok {
		all, err := ptx.ReadFile("ptx/" + file + ".ptx")
		if err != nil {
			return nil, err
		}
		text, err := cut(string(all), name)
		if err != nil {
			return nil, fmt.Errorf("cuda: %s: %w", file, err)
		}
		if err := b.measure(&b.held.code, func() error { m, err = b.device.Load(text); return err }); err != nil {
			return nil, fmt.Errorf("cuda: kernel %s of %s: %w", name, file, err)
		}
		b.modules[name] = m
	}
	var f *driver.Function
	if err := b.measure(&b.held.code, func() (err error) { f, err = m.Function(name); return err }); err != nil { // drivers load late
		return nil, fmt.Errorf("cuda: %w", err)
	}
	b.functions[name] = f
	return f, nil
}

// grid is how a kernel is spread.
type grid struct {
	blocks  driver.Dim
	threads int
}

// mostBlocks is how many blocks a kernel has at most along x; what there is more, its blocks walk on to. Tests
// make it few, so that they do.
var mostBlocks = 1 << 20

// overElements spreads n elements; kernels walk on where there are more than
// fit.
func overElements(n int) grid {
	const threads = 256
	if n <= 32 {
		return grid{driver.Dim{X: 1, Y: 1, Z: 1}, 32}
	}
	return grid{driver.Dim{X: min(parts(n, threads), mostBlocks), Y: 1, Z: 1}, threads}
}

// overRows spreads rows of n elements, a block for each. Threads depend on n
// alone, since the order of sums depends on them.
func overRows(rows, n int) grid {
	threads := 32
	for threads < 256 && threads*4 < n {
		threads *= 2
	}
	return grid{driver.Dim{X: min(rows, mostBlocks), Y: 1, Z: 1}, threads}
}

func parts(n, size int) int { return (n + size - 1) / size }

// nothing is the step of an op without elements.
func nothing(context.Context) error { return nil }

// launch returns a step that runs a kernel of a file with its parameter.
func launch[P any](b *Backend, file, name string, g grid, p *P) (kernels.Step, error) {
	return launchRoom(b, file, name, g, 0, p)
}

// launchRoom is launch with so many bytes of shared memory for room() of
// source/tensor.h, at most Info.SharedMemory: 163 KiB on every device that will do
// but those of capability 8.6 and 8.9, which have 99.
func launchRoom[P any](b *Backend, file, name string, g grid, room int, p *P) (kernels.Step, error) {
	f, err := b.function(file, name)
	if err == nil && room > 0 { // 48 KiB are free to ask for, less what the kernel has by itself
		err = f.AllowShared(room)
	}
	if err != nil {
		return nil, err
	}
	l, err := driver.NewLaunch(f, g.blocks, driver.Dim{X: g.threads, Y: 1, Z: 1}, room, b.stream, p)
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return func(ctx context.Context) error {
		if in, ok := ctx.(*inside); ok {
			in.root.launches++
			return l.Put()
		}
		return b.alone(l.Run)
	}, nil
}

// alone puts work into the stream, for a step that no group runs.
func (b *Backend) alone(put func() error) error {
	b.order.RLock()
	defer b.order.RUnlock()
	return put()
}

// codes number element types as source/number.h does.
var codes = map[ir.DType]uint32{ir.F32: 0, ir.BF16: 1, ir.F16: 2, ir.F64: 3, ir.I64: 4, ir.I32: 5, ir.I8: 6, ir.U8: 7, ir.Bool: 7}

// stored reports whether t is computed with as float32.
func stored(t ir.DType) bool { return t == ir.F32 || t == ir.BF16 || t == ir.F16 }

func isIndex(t ir.Type) bool { return t.DType == ir.I32 || t.DType == ir.I64 }

// axes is the most that a tensor has.
const axes = 8

// walk says where the elements of operands lie, as source/walk.h has it: S is an
// array of the strides of each.
type walk[S any] struct {
	n      uint64
	rank   uint32
	size   [axes]uint32
	stride S
}

type (
	strides  = [axes]int64
	strides2 = [2]strides
	strides3 = [3]strides
)

// newWalk lays out a shape; of operand k neighbours along axis i are st[k][i]
// apart. Axes that lie together in all operands are joined.
func newWalk[S any](w *walk[S], set func(operand, axis int, stride int64), shape []int, st ...[]int) error {
	w.n = uint64(prod(shape))
	var size []int
	joined := make([][]int, len(st))
	for i, n := range shape {
		if n == 1 {
			continue
		}
		k := len(size) - 1
		together := k >= 0
		for j := range st {
			together = together && joined[j][k] == st[j][i]*n
		}
		if together {
			size[k] *= n
		} else {
			size, k = append(size, n), k+1
		}
		for j := range st {
			joined[j] = append(joined[j][:k], st[j][i])
		}
	}
	if len(size) > axes {
		return fmt.Errorf("cuda: %d axes, want at most %d", len(size), axes)
	}
	w.rank = uint32(len(size))
	for i, n := range size {
		if n > math.MaxUint32 {
			return fmt.Errorf("cuda: an axis of %d elements", n)
		}
		w.size[i] = uint32(n)
		for j := range st {
			set(j, i, int64(joined[j][i]))
		}
	}
	return nil
}

func walk1(shape []int, a []int) (w walk[strides], err error) {
	err = newWalk(&w, func(_, i int, s int64) { w.stride[i] = s }, shape, a)
	return w, err
}

func walk2(shape []int, a, b []int) (w walk[strides2], err error) {
	err = newWalk(&w, func(k, i int, s int64) { w.stride[k][i] = s }, shape, a, b)
	return w, err
}

func walk3(shape []int, a, b, c []int) (w walk[strides3], err error) {
	err = newWalk(&w, func(k, i int, s int64) { w.stride[k][i] = s }, shape, a, b, c)
	return w, err
}

func prod(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// cStrides returns the distance of neighbours along each axis in C order.
func cStrides(shape []int) []int {
	out := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// repeatStrides are the strides of a shape that repeats to another.
func repeatStrides(shape, to []int) []int {
	out := make([]int, len(to))
	own := cStrides(shape)
	for i := range shape {
		if shape[i] != 1 {
			out[len(to)-len(shape)+i] = own[i]
		}
	}
	return out
}

// sameType says that the output may lie over an input of its type and shape.
func sameType(in, out []ir.Type) func(int) bool {
	return func(i int) bool { return in[i].DType == out[0].DType && slices.Equal(in[i].Shape, out[0].Shape) }
}

// oneValue gives the bits of one element.
func oneValue(d ir.DType, v float64, half func(ir.DType, float32) uint16) uint64 {
	switch d {
	case ir.F64:
		return math.Float64bits(v)
	case ir.F32:
		return uint64(math.Float32bits(float32(v)))
	case ir.BF16, ir.F16:
		return uint64(half(d, float32(v)))
	}
	return uint64(int64(v))
}
