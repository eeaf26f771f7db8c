package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

const (
	loneRows    = 32   // below so many, rows of an expert are not put together
	mostExperts = 1023 // that group_rows of source/experts.cu counts
)

// spreadExperts is spread where rows choose experts. Few rows are alone in 8 slots,
// so that there is nothing to do before; of more, those of an expert are put together.
func (p blockProduct) spreadExperts(m int) spread {
	if p.rows == 0 && m < loneRows || p.experts > mostExperts || p.rows == fewSlots {
		return spread{rows: fewSlots, slots: m * fewSlots, step: fewSlots}
	}
	rows := p.rows
	if rows == 0 {
		rows = someSlots
		if m/p.experts >= manySlots/2 && p.fills(m/manySlots) {
			rows = manySlots
		}
	}
	return spread{rows: rows, slots: (m/rows + min(m, p.experts+1)) * rows, step: 1, group: true}
}

// tables are the bytes of what says which expert slots have, and which row.
func (s spread) tables() int64 {
	if !s.group {
		return 0
	}
	return int64(4*s.slots + 4*s.slots/8)
}

// group returns the step that fills the tables of s, which lie at tables: first the
// row of each slot, then the expert of each 8.
func (b *Backend) group(s spread, m, experts int, chosen kernels.Tensor, at, bad, tables driver.Pointer) (kernels.Step, error) {
	type params struct {
		expertOf, rowOf, chosen, bad driver.Pointer
		m, experts, slots, align     uint64
		code                         uint32
	}
	p := &params{tables + driver.Pointer(4*s.slots), tables, at, bad, uint64(m), uint64(experts), uint64(s.slots), uint64(s.rows), codes[chosen.DType]}
	return launch(b, "experts", "group_rows", grid{driver.Dim{X: 1, Y: 1, Z: 1}, 512}, p)
}

// choose puts the step that groups rows, if there is one, whose tables lie at
// tables. What it returns makes the whole fail where an expert is out of range.
func (p blockProduct) choose(a kernels.Args, arg *blockParams, s spread, tables driver.Pointer, put func(kernels.Step, error) error) (func(kernels.Step) kernels.Step, error) {
	chosen := a.In[p.chosen]
	at, err := p.b.pointer(chosen)
	if err != nil {
		return nil, err
	}
	bad, err := p.b.slot()
	if err != nil {
		return nil, err
	}
	arg.bad, arg.picCode, arg.experts = bad.at, codes[chosen.DType], uint64(p.experts)
	arg.share = arg.m / max(1, uint64(a.In[0].Len())/(arg.units*unit))
	if s.group {
		arg.rowOf, arg.expertOf = tables, tables+driver.Pointer(4*s.slots)
		err = put(p.b.group(s, int(arg.m), p.experts, chosen, at, bad.at, tables))
	} else {
		arg.chosen = at
	}
	return func(run kernels.Step) kernels.Step { return p.b.checked(run, bad, chosen, at, p.experts) }, err
}

// blockExperts is expert_linear of weights in blocks.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   weight [experts, out, in]   y [..., k, out]
func blockExperts(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertLinearAttr)
	p := blockProduct{b: b, dtype: in[2].DType, weights: []int{2}, chosen: 1, experts: a.Experts, features: a.OutFeatures}
	return p, ok && !a.Transpose && isIndex(in[1]) && p.multiplies(in, out)
}

// experts is expert_linear of weights that are not in blocks. Few rows are products of
// their own; of more, those of an expert are put together, so that they are one.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   weight [experts, out, in], or [experts, in, out]   y [..., k, out]
type experts struct {
	b    *Backend
	attr op.ExpertLinearAttr
}

func expertLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertLinearAttr)
	e := experts{b, a}
	ok = ok && len(in) == 3 && stored(in[0].DType) && isIndex(in[1]) && stored(in[2].DType) && stored(out[0].DType) && len(in[0].Shape) > 0
	return kernel{bind: e.bind, scratch: e.scratch}, ok
}

// spread is how many rows of an expert make a product.
func (e experts) spread(m int) spread {
	if m < loneRows || e.attr.Experts > mostExperts {
		return spread{rows: 1, slots: m, step: 1}
	}
	rows := largeTile
	for rows > someSlots && m/e.attr.Experts < rows*3/4 {
		rows /= 2
	}
	return spread{rows: rows, slots: (m/rows + min(m, e.attr.Experts+1)) * rows, step: 1, group: true}
}

// spaces are where the tables, rows of x and those of y lie in scratch, and where
// these end.
func (e experts) spaces(s spread, width int, x, y ir.DType) (at [4]int64) {
	if s.group {
		at[1] = (s.tables() + 255) / 256 * 256
		at[2] = at[1] + (int64(s.slots*width*x.Size())+255)/256*256
		at[3] = at[2] + int64(s.slots*e.attr.OutFeatures*y.Size())
	}
	return at
}

func (e experts) scratch(_ any, in, _ []ir.Type) int64 {
	sizes := in[0].Sizes()
	return e.spaces(e.spread(int(in[1].Elems())), sizes[len(sizes)-1], in[0].DType, in[0].DType)[3]
}

func (e experts) bind(a kernels.Args) (kernels.Step, error) {
	x, chosen, w, y := a.In[0], a.In[1], a.In[2], a.Out[0]
	if y.Len() == 0 || x.Len() == 0 {
		return nothing, nil
	}
	m, width := chosen.Len(), x.Shape[len(x.Shape)-1]
	share := m / (x.Len() / width)
	s := e.spread(m)
	at, err := e.b.pointers(x, chosen, y, a.Scratch)
	if err != nil {
		return nil, err
	}
	bad, err := e.b.slot()
	if err != nil {
		return nil, err
	}
	p := &matmulParams{m: uint64(s.rows), n: uint64(e.attr.OutFeatures), k: uint64(width), aRow: int64(width), aColumn: 1,
		experts: uint64(e.attr.Experts), expertApart: int64(width * e.attr.OutFeatures), every: 1, expertCode: codes[chosen.DType], expert: at[1]}
	_, p.bColumn, p.bRow = lastTwo(w.Shape, e.attr.Transpose)
	move := moveRows{chosen: at[1], bad: bad.at, share: uint64(share), experts: p.experts, code: codes[chosen.DType], slots: uint64(s.slots)}
	var steps []kernels.Step
	if s.group {
		steps, err = e.grouped(p, move, s, a, at, m, w)
	} else {
		move.to, move.size = at[2], uint64(e.attr.OutFeatures*y.DType.Size())
		if p.batch, err = walk2([]int{m / share, share}, []int{width, 0}, []int{0, 0}); err == nil {
			steps, err = appended(steps, []func() (kernels.Step, error){
				func() (kernels.Step, error) { return e.b.moveRows(move) },
				func() (kernels.Step, error) {
					return e.b.product(p, x, w, kernels.Tensor{}, y, ways{tf32: e.attr.TF32})
				}})
		}
	}
	if err != nil {
		return nil, err
	}
	return e.b.checked(sequence(steps), bad, chosen, at[1], e.attr.Experts), nil
}

// grouped are the steps of rows that are put together: to slots, a product for each
// expert, and back.
func (e experts) grouped(p *matmulParams, move moveRows, s spread, a kernels.Args, at []driver.Pointer, m int, w kernels.Tensor) ([]kernels.Step, error) {
	x, y := a.In[0], a.Out[0]
	spaces := e.spaces(s, int(p.k), x.DType, y.DType)
	if int64(a.Scratch.Len()) < spaces[3] {
		return nil, fmt.Errorf("cuda: scratch of %d bytes, want %d", a.Scratch.Len(), spaces[3])
	}
	part := func(i int, d ir.DType, width uint64) kernels.Tensor {
		t := a.Scratch
		t.Offset, t.DType, t.Shape = t.Offset+spaces[i], d, []int{s.slots, int(width)}
		return t
	}
	var err error
	if p.batch, err = walk2([]int{s.slots / s.rows}, []int{s.rows * int(p.k)}, []int{0}); err != nil {
		return nil, err
	}
	p.every, p.expertCode, p.expert = uint32(s.rows/8), codes[ir.I32], at[3]+driver.Pointer(4*s.slots)
	move.rowOf = at[3]
	to, back := move, move
	to.to, to.from, to.size = at[3]+driver.Pointer(spaces[1]), at[0], p.k*uint64(x.DType.Size())
	back.to, back.from, back.size, back.back = at[2], at[3]+driver.Pointer(spaces[2]), p.n*uint64(y.DType.Size()), 1
	return appended(nil, []func() (kernels.Step, error){
		func() (kernels.Step, error) {
			return e.b.group(s, m, e.attr.Experts, a.In[1], at[1], move.bad, at[3])
		},
		func() (kernels.Step, error) { return e.b.moveRows(to) },
		func() (kernels.Step, error) {
			return e.b.product(p, part(1, x.DType, p.k), w, kernels.Tensor{}, part(2, y.DType, p.n), ways{tf32: e.attr.TF32})
		},
		func() (kernels.Step, error) { return e.b.moveRows(back) },
	})
}

// appended makes the steps one after the other.
func appended(steps []kernels.Step, makers []func() (kernels.Step, error)) ([]kernels.Step, error) {
	for _, m := range makers {
		step, err := m()
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// moveRows is MoveRows of source/experts.cu.
type moveRows struct {
	to, from, rowOf, chosen, bad driver.Pointer
	slots, size, share, experts  uint64
	code, back                   uint32
}

func (b *Backend) moveRows(p moveRows) (kernels.Step, error) {
	each := 2
	if p.size%16 == 0 {
		each = 16
	}
	return launch(b, "experts", "move_rows", overElements(int(p.slots)*int(p.size)/each), &p)
}
