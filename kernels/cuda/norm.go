package cuda

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// team is how threads take a row of source/norm.cu: in registers, as many quads of
// elements for each thread as there are variants for, or by all of a block again
// and again.
type team struct {
	threads int // that take a row
	quads   int // of a thread; 0 means that rows are read again
}

// mostTeam is the most threads of a team, and mostQuads what each holds.
const (
	mostTeam  = 512
	mostQuads = 4
)

// teamOf chooses for rows of n elements; whole says that they can be read in
// quads. It goes by n alone, but for tensors that lie askew, since sums depend on it.
func teamOf(n int, whole bool) team {
	if n%4 != 0 || !whole || n > 4*mostTeam*mostQuads {
		return team{threads: min(mostTeam, overRows(1, n).threads)}
	}
	t := team{threads: 32, quads: 1}
	for t.threads < mostTeam && n > 4*t.threads*mostQuads || t.threads > 32 && t.threads < mostTeam && n > 4*t.threads*2 {
		t.threads *= 2
	}
	for 4*t.threads*t.quads < n {
		t.quads *= 2
	}
	return t
}

// variant is the kernel of a name for the team.
func (t team) variant(name string) string {
	if t.quads == 0 {
		return name + "_long"
	}
	return fmt.Sprintf("%s_%d", name, t.quads)
}

// inBlock is how many teams a block has.
func (t team) inBlock() int {
	if t.threads == 32 && t.quads > 0 {
		return 4
	}
	return 1
}

// grid spreads parts, a team for each.
func (t team) grid(n int) grid {
	k := t.inBlock()
	return grid{driver.Dim{X: min(parts(n, k), 1<<30), Y: 1, Z: 1}, k * t.threads}
}

// inQuads reports whether tensors lie so that four elements are read at once;
// those that were left out do.
func inQuads(at []driver.Pointer, ts []kernels.Tensor) bool {
	for i, t := range ts {
		if t.Buffer != nil && int(at[i])%(4*t.DType.Size()) != 0 {
			return false
		}
	}
	return true
}

// norm is what a norm of rows is told by its op.
type norm struct {
	eps     float64
	plusOne bool
	center  bool
}

// code is what a kernel is told: center, eps and what is added to the weight.
func (s norm) code() (center uint32, eps, offset float32) {
	if s.center {
		center = 1
	}
	if s.plusOne {
		offset = 1
	}
	return center, float32(s.eps), offset
}

// normParams is Norm of source/norm.cu.
type normParams struct {
	y, x, weight, bias driver.Pointer
	rows, n            uint64
	code, w, b         uint32
	center, team       uint32
	eps, offset        float32
}

// kernel makes the kernel of a norm of rows: x, and optionally weight and bias.
func (s norm) kernel(b *Backend, in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	ok = ok && in[0].DType == out[0].DType && len(in[0].Shape) > 0 && len(in) <= 3
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		in := append(slices.Clone(args.In), kernels.Tensor{}, kernels.Tensor{})[:3]
		all := append(slices.Clone(args.Out[:1]), in...)
		at, err := b.pointers(all...)
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		n := in[0].Shape[len(in[0].Shape)-1]
		t := teamOf(n, inQuads(at, all))
		p := &normParams{y: at[0], x: at[1], weight: at[2], bias: at[3], rows: uint64(in[0].Len() / n), n: uint64(n),
			code: codes[in[0].DType], w: codes[in[1].DType], b: codes[in[2].DType], team: uint32(t.threads)}
		p.center, p.eps, p.offset = s.code()
		return launch(b, "norm", t.variant("norm"), t.grid(int(p.rows)), p)
	}}, ok
}

// rmsNorm is y = x / sqrt(mean(x²) + eps) * w.
func rmsNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RMSNormAttr)
	return norm{eps: a.Eps, plusOne: a.PlusOne}.kernel(b, in, out, ok)
}

// layerNorm is y = (x - mean(x)) / sqrt(var(x) + eps) * w + b.
func layerNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LayerNormAttr)
	return norm{eps: a.Eps, center: true}.kernel(b, in, out, ok)
}

// normGradParams is NormGrad of source/norm.cu.
type normGradParams struct {
	dx, x, weight, dy driver.Pointer
	sums              driver.Pointer
	rows, n, each     uint64
	results           uint32
	code, w           uint32
	center, team      uint32
	eps, offset       float32
	plus              driver.Pointer
}

// normParts is how many rows a team adds up in turn: as few as leave threads
// enough for the device, and not so many that sums in f32 lose digits.
func normParts(rows int, t team) int {
	const threads, most = 1 << 17, 256
	return min(most, max(1, parts(rows, threads/t.threads)))
}

// gradKernel makes the kernel of the gradients of a norm of rows: x, weight, which
// may be left out, and dy give dx, and dweight and dbias as many as there are.
func (s norm) gradKernel(b *Backend, add plus, in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	in, same := add.types(in, out)
	ok = ok && same && len(in) == 3 && len(out) <= 3 && len(in[0].Shape) > 0 && stored(in[0].DType) && in[2].DType == in[0].DType && (stored(in[1].DType) || in[1].DType == ir.Invalid)
	return kernel{inPlace: add.inPlace(func(i int) bool { return i != 1 }), bind: func(args kernels.Args) (kernels.Step, error) { return s.bindGrad(b, add, args) },
		scratch: func(_ any, in, out []ir.Type) int64 {
			in, _ = add.types(in, out)
			rows, n := rowsOf(in[0].Sizes())
			count := 0
			for _, whole := range []bool{false, true} { // it is not known yet how tensors lie
				count = max(count, parts(rows, normParts(rows, teamOf(n, whole))))
			}
			return int64(count*(len(out)-1)*n) * 4
		}}, ok
}

// rowsOf cuts a shape into rows of its last axis.
func rowsOf(shape []int) (rows, n int) {
	n = shape[len(shape)-1]
	rows = 1
	for _, d := range shape[:len(shape)-1] {
		rows *= d
	}
	return rows, n
}

func (s norm) bindGrad(b *Backend, add plus, args kernels.Args) (kernels.Step, error) {
	args, z := add.args(args)
	all := append(slices.Clone(args.In), args.Out[0], z, args.Scratch)
	at, err := b.pointers(all...)
	if err != nil {
		return nil, err
	}
	rows, n := rowsOf(args.In[0].Shape)
	if n == 0 {
		return nothing, nil
	}
	t := teamOf(n, inQuads(at[:5], all[:5]))
	each := normParts(rows, t)
	p := &normGradParams{x: at[0], weight: at[1], dy: at[2], dx: at[3], plus: at[4], sums: at[5], rows: uint64(rows), n: uint64(n), each: uint64(each), results: uint32(len(args.Out) - 1),
		code: codes[args.In[0].DType], w: codes[args.In[1].DType], team: uint32(t.threads)}
	p.center, p.eps, p.offset = s.code()
	run := nothing
	if rows > 0 {
		if run, err = launch(b, "norm", t.variant("norm_grad"), t.grid(parts(rows, each)), p); err != nil {
			return nil, err
		}
	}
	if len(args.Out) == 1 {
		return run, nil
	}
	end, err := b.join(args.Out[1:], at[5], parts(rows, each))
	return sequence([]kernels.Step{run, end}), err
}

// join binds the step that adds up sums [count, results, n] of f32 to the results.
func (b *Backend) join(results []kernels.Tensor, sums driver.Pointer, count int) (kernels.Step, error) {
	type params struct {
		first, second driver.Pointer
		sums          driver.Pointer
		parts, n      uint64
		results, code uint32
	}
	at, err := b.pointers(results...)
	if err != nil {
		return nil, err
	}
	n := results[0].Len()
	p := &params{first: at[0], sums: sums, parts: uint64(count), n: uint64(n), results: uint32(len(results)), code: codes[results[0].DType]}
	if len(at) > 1 {
		p.second = at[1]
	}
	return launch(b, "norm", "join", grid{driver.Dim{X: parts(n*len(results), 32), Y: 1, Z: 1}, 256}, p)
}

func rmsNormGrad(add plus) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.RMSNormAttr)
		return norm{eps: a.Eps, plusOne: a.PlusOne}.gradKernel(b, add, in, out, ok)
	}
}

func layerNormGrad(add plus) maker {
	return func(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
		a, ok := attr.(op.LayerNormAttr)
		return norm{eps: a.Eps, center: true}.gradKernel(b, add, in, out, ok)
	}
}
