package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// expertBlocks multiplies vectors by the weights in blocks of the experts chosen
// for them, each as linear does: see blockProduct. Only the blocks of experts that
// were chosen are read.
func expertBlocks(b *Backend, a op.ExpertLinearAttr) kernels.Kernel {
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindExpertBlocks(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			x, pairs := in[0].Sizes(), int64(in[1].Elems())
			k := x[len(x)-1]
			return 4*pairs*int64(k+a.OutFeatures) + quantisedBytes(int(pairs), k)
		},
	}
}

func bindExpertBlocks(b *Backend, a op.ExpertLinearAttr, args kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(args.In, args.Out...)...)
	if err != nil {
		return nil, err
	}
	w := args.In[2]
	k, n := args.In[0].Shape[len(args.In[0].Shape)-1], a.OutFeatures
	if err := checkWeight("weight", w, a.Experts, n, k); err != nil {
		return nil, err
	}
	r := newRouted(b, vs[1], args.In[1].Shape, a.Experts)
	if vs[3].n != r.pairs*n {
		return nil, fmt.Errorf("result has %d elements, want %d x %d", vs[3].n, r.pairs, n)
	}
	quantised := int(quantisedBytes(r.pairs, k)) / 4
	room, err := b.scratch(args, r.pairs*(k+n)+quantised)
	if err != nil || r.pairs*k == 0 {
		return b.step(0, nil), err
	}
	x, y := room[:r.pairs*k], room[r.pairs*k:r.pairs*(k+n)]
	p := &blockProduct{product: product{b: b, batch: 1, m: r.pairs, n: n, k: k, y: vecOf(y)}, blocks: k / asm.Block}
	p.packing, _ = packingOf(w.DType)
	if err := p.reads(w); err != nil {
		return nil, err
	}
	if k%p.format.Block != 0 {
		return nil, fmt.Errorf("rows of %d are no whole number of blocks of %d", k, p.format.Block)
	}
	p.quantised = vecOf(room[r.pairs*(k+n):]).bytes(0, quantised)
	p.bound()
	experts := make([][]weight, a.Experts)
	size := vs[2].n / a.Experts
	for e := range experts {
		one := vs[2]
		one.p, one.n = unsafe.Add(vs[2].p, e*size), size
		experts[e] = []weight{{vec: one, packed: w.Layout != ""}}
	}
	return sequence(r.sort, r.gather(vs[0], k, x, k), p.quantise(vecOf(x)), p.multiplyExperts(r, experts), r.scatter(vs[3], n, y, n)), nil
}

// multiplyExperts returns the step that multiplies the rows of each expert by its weights.
func (p *blockProduct) multiplyExperts(r *routed, experts [][]weight) kernels.Step {
	const panels = 4 // of a part
	all, byRow := p.b.streamsOf(p.n, p.rowBytes()), p.byRow(experts[0][0])
	return r.each(parts(parts(p.n, asm.Panel), panels), func(worker, e, part int) {
		local, lo, hi := p.b.local[worker], part*panels, min((part+1)*panels, parts(p.n, asm.Panel))
		from, to := r.start[e], r.start[e+1]
		switch {
		case !byRow || to-from > fewRows:
			for ; from < to; from += p.rows {
				for panel := lo; panel < hi; panel++ {
					p.tiles(local, experts[e], from, min(p.rows, to-from), panel, hi)
				}
			}
		case p.coding.InRows():
			p.inStreams(local, experts[e], from, to-from, all, lo, hi)
		default:
			for ; from < to; from++ {
				for panel := lo; panel < hi; panel++ {
					p.row(local, experts[e], from, panel)
				}
			}
		}
	})
}
