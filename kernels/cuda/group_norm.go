package cuda

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// groupSlice is how many elements a block of source/group.cu takes.
const groupSlice = 4096

// groupParams is Group of source/group.cu.
type groupParams struct {
	y                          driver.Pointer
	x, weight, bias, dy        driver.Pointer
	parts, stats, sums, means  driver.Pointer
	rows, n                    uint64
	channels, share, positions uint64
	code, w, b                 uint32
	quads                      uint32
	eps                        float32
}

// groupShape is x [batch, channels, positions] by groups.
type groupShape struct{ batch, channels, positions, groups int }

func groupShapeOf(x []int, groups int) groupShape {
	s := groupShape{x[0], x[1], 1, groups}
	for _, d := range x[2:] {
		s.positions *= d
	}
	return s
}

func (s groupShape) rows() int   { return s.batch * s.groups }
func (s groupShape) row() int    { return s.channels / max(s.groups, 1) * s.positions } // elements
func (s groupShape) slices() int { return parts(s.row(), groupSlice) }
func (s groupShape) pieces() int { return s.batch * parts(s.positions, groupSlice) } // parts of the sums of a channel

// scratch is the bytes of what is found of slices and rows, and for gradients of
// channels, and where each begins.
func (s groupShape) scratch(grad bool) (at [4]int64, total int64) {
	sizes := [4]int{3 * s.rows() * s.slices(), 3 * s.rows()}
	if grad {
		sizes[2], sizes[3] = 2*s.pieces()*s.channels, 2*s.rows()
	}
	for i, n := range sizes {
		at[i] = total
		total += (4*int64(n) + 255) / 256 * 256
	}
	return at, total
}

// bound fills the parameter; weight, bias and dy may be left out.
func (s groupShape) bound(b *Backend, y, x, weight, bias, dy, scratch kernels.Tensor, eps float64) (*groupParams, error) {
	all := []kernels.Tensor{y, x, weight, bias, dy}
	at, err := b.pointers(append(slices.Clone(all), scratch)...)
	if err != nil {
		return nil, err
	}
	if s.row() > math.MaxInt32 || s.rows()*s.slices() > math.MaxInt32 {
		return nil, fmt.Errorf("cuda: %d groups of %d elements", s.rows(), s.row())
	}
	room, _ := s.scratch(dy.Buffer != nil)
	p := &groupParams{y: at[0], x: at[1], weight: at[2], bias: at[3], dy: at[4], rows: uint64(s.rows()), n: uint64(s.row()),
		channels: uint64(s.channels), share: uint64(s.channels / s.groups), positions: uint64(s.positions), code: codes[x.DType], w: codes[weight.DType], b: codes[bias.DType], eps: float32(eps)}
	p.parts, p.stats, p.sums, p.means = at[5]+driver.Pointer(room[0]), at[5]+driver.Pointer(room[1]), at[5]+driver.Pointer(room[2]), at[5]+driver.Pointer(room[3])
	if s.positions%4 == 0 && inQuads([]driver.Pointer{at[0], at[1], at[4]}, []kernels.Tensor{y, x, dy}) {
		p.quads = 1
	}
	return p, nil
}

// groupNorm is y = act((x - mean) / sqrt(var + eps) * w + b).
//
//	x, y [batch, channels, ...]   w, b [channels]
func groupNorm(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GroupNormAttr)
	last, known := map[string]string{"": "group_norm", "silu": "group_norm_silu"}[a.Act]
	ok = ok && known && in[0].DType == out[0].DType && len(in) <= 3
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	bind := func(args kernels.Args) (kernels.Step, error) {
		s, in := groupShapeOf(args.In[0].Shape, a.Groups), append(slices.Clone(args.In), kernels.Tensor{}, kernels.Tensor{})
		p, err := s.bound(b, args.Out[0], in[0], in[1], in[2], kernels.Tensor{}, args.Scratch, a.Eps)
		if err != nil || args.In[0].Len() == 0 {
			return nothing, err
		}
		return b.groupSteps(p, s, last)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: bind, scratch: groupScratch(a, false)}, ok
}

// groupNormGrad gives, with z the normalised x and g = dy w,
//
//	dx = r (g - mean(g) - z mean(g z))   dweight = sum(dy z)   dbias = sum(dy)
//
// with means over a group and sums over all of a channel.
func groupNormGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GroupNormAttr)
	ok = ok && len(in) == 3 && stored(in[0].DType) && in[2].DType == in[0].DType && (stored(in[1].DType) || in[1].DType == ir.Invalid)
	bind := func(args kernels.Args) (kernels.Step, error) {
		s := groupShapeOf(args.In[0].Shape, a.Groups)
		p, err := s.bound(b, args.Out[0], args.In[0], args.In[1], kernels.Tensor{}, args.In[2], args.Scratch, a.Eps)
		if err != nil {
			return nil, err
		}
		run, pieces := kernels.Step(nothing), 0
		if args.In[0].Len() > 0 {
			pieces = s.pieces()
			if run, err = b.groupSteps(p, s, "group_grad"); err != nil {
				return nil, err
			}
		}
		if len(args.Out) == 1 {
			return run, nil
		}
		join, err := b.join(args.Out[1:], p.sums, pieces)
		return sequence([]kernels.Step{run, join}), err
	}
	return kernel{inPlace: func(i int) bool { return i != 1 }, bind: bind, scratch: groupScratch(a, true)}, ok
}

func groupScratch(a op.GroupNormAttr, grad bool) func(any, []ir.Type, []ir.Type) int64 {
	return func(_ any, in, _ []ir.Type) int64 {
		_, n := groupShapeOf(in[0].Sizes(), a.Groups).scratch(grad)
		return n
	}
}

// groupSteps binds what finds means and spreads, for gradients the sums, and last
// the kernel of the result.
func (b *Backend) groupSteps(p *groupParams, s groupShape, last string) (kernels.Step, error) {
	type pass struct {
		name            string
		blocks, threads int
	}
	rows, slices := s.rows(), s.rows()*s.slices()
	list := []pass{{"group_parts", slices, 256}, {"group_stats", rows, overRows(1, s.slices()).threads}}
	if last == "group_grad" {
		list = append(list, pass{"group_sums", s.pieces() * s.channels, overRows(1, min(s.positions, groupSlice)).threads},
			pass{"group_means", rows, overRows(1, s.channels/s.groups*s.pieces()/s.batch).threads})
	}
	list = append(list, pass{last, slices, 256})
	var steps []kernels.Step
	for _, k := range list {
		step, err := launch(b, "group", k.name, grid{driver.Dim{X: k.blocks, Y: 1, Z: 1}, k.threads}, p)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return sequence(steps), nil
}
