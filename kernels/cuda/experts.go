package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

const (
	loneRows    = 32   // below so many, rows of an expert are not put together
	mostExperts = 1023 // that group_rows of source/blocks.cu counts
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
		if p.dtype == ir.NF4 || m/p.experts >= manySlots/2 && p.fills(m/manySlots) {
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

// choose puts the step that groups rows, if there is one, whose tables lie at
// tables. What it returns makes the whole fail where an expert is out of range.
func (p blockProduct) choose(a kernels.Args, arg *blockParams, s spread, tables driver.Pointer, put func(kernels.Step, error) error) (func(kernels.Step) kernels.Step, error) {
	type params struct {
		expertOf, rowOf, chosen, bad driver.Pointer
		m, experts, slots, align     uint64
		code                         uint32
	}
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
		g := grid{driver.Dim{X: 1, Y: 1, Z: 1}, 512}
		err = put(launch(p.b, "blocks", "group_rows", g, &params{arg.expertOf, arg.rowOf, at, bad.at, arg.m, arg.experts, arg.slots, uint64(s.rows), arg.picCode}))
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
