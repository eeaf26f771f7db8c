package cuda

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// chunk is Chunk of source/sort.cu: elements that a block puts in order.
const chunk = 2048

// sortParams is Sort of source/sort.cu.
type sortParams struct {
	values, places, x, to, from driver.Pointer
	rows, n, k, run             uint64
	code, descending, size      uint32
}

// sortOp sorts along the last axis; equal elements keep their order, and NaN is
// less than all others.
func sortOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.SortAttr)
	return b.ranked(a.Descending, in, out), ok && canRank(in, out)
}

// topK finds the greatest elements, from the greatest down; the lowest index
// comes first among equals.
func topK(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	_, ok := attr.(op.TopKAttr)
	return b.ranked(true, in, out), ok && canRank(in, out)
}

func canRank(in, out []ir.Type) bool {
	return len(in) == 1 && len(out) == 2 && stored(in[0].DType) && in[0].DType == out[0].DType && out[1].DType == ir.I32
}

// lastRows splits a shape into rows along its last axis.
func lastRows(shape []int) (rows, n int) {
	last := len(shape) - 1
	return prod(shape[:last]), shape[last]
}

// ranked gives the first elements of each row in order, and where they were.
//
//	x [rows, n]   values [rows, k], places i32 [rows, k]
func (b *Backend) ranked(descending bool, in, out []ir.Type) kernels.Kernel {
	scratch := func(_ any, in, out []ir.Type) int64 {
		rows, n := lastRows(in[0].Sizes())
		if _, k := lastRows(out[0].Sizes()); n <= chunk || k < n && k <= chunk {
			return 0
		}
		return 2 * 8 * int64(rows) * int64(n)
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.Out[1], args.In[0], args.Scratch)
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		rows, n := lastRows(args.In[0].Shape)
		_, k := lastRows(args.Out[0].Shape)
		p := sortParams{values: at[0], places: at[1], x: at[2], rows: uint64(rows), n: uint64(n), k: uint64(k), code: codes[args.In[0].DType]}
		if descending {
			p.descending = 1
		}
		switch {
		case n > math.MaxInt32:
			return nil, errLong(n)
		case n <= chunk:
			p.size = powerOfTwo(n)
			return launch(b, "sort", "sort", overSorted(rows, int(p.size)), &p)
		case k < n && k <= chunk:
			p.size = powerOfTwo(k)
			return launch(b, "sort", "topk", overSorted(rows, n), &p)
		}
		return b.merged(p, at[3])
	}}
}

// merged sorts parts of rows and joins them, two at a time.
func (b *Backend) merged(p sortParams, scratch driver.Pointer) (kernels.Step, error) {
	whole := int(p.rows * p.n)
	from, to := scratch, scratch+driver.Pointer(8*whole)
	p.size, p.to = chunk, from
	first := p
	s, err := launch(b, "sort", "sort", overSorted(int(p.rows)*parts(int(p.n), chunk), chunk), &first)
	if err != nil {
		return nil, err
	}
	steps := []kernels.Step{s}
	for run := uint64(chunk); run < p.n; run *= 2 {
		pass := p
		pass.from, pass.to, pass.run = from, to, run
		if 2*run >= p.n {
			pass.to = 0
		}
		if s, err = launch(b, "sort", "merge", overElements(whole), &pass); err != nil {
			return nil, err
		}
		steps, from, to = append(steps, s), to, from
	}
	return sequence(steps), nil
}

// powerOfTwo is the least that n fits into, and at least 2.
func powerOfTwo(n int) uint32 {
	size := uint32(2)
	for int(size) < n {
		size *= 2
	}
	return size
}

// overSorted spreads rows of n elements, a block for each.
func overSorted(rows, n int) grid {
	threads := 32
	for threads < 256 && threads*2 < n {
		threads *= 2
	}
	return grid{driver.Dim{X: min(rows, mostBlocks), Y: 1, Z: 1}, threads}
}
