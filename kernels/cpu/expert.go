package cpu

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// routed is the vectors of x in the order of the experts that were chosen for
// them, in memory of its own: those of expert e are rows start[e] to
// start[e+1], in the order in which they came. Choices of no expert come last.
type routed struct {
	b       *Backend
	chosen  *indices
	pairs   int // choices in all
	share   int // choices of one vector
	experts int
	start   []int
	order   []int // the choice at each row
	active  []int // experts that were chosen
}

func newRouted(b *Backend, chosen vec, shape []int, experts int) *routed {
	n := prod(shape)
	return &routed{b: b, chosen: &indices{vec: chosen, limit: experts}, pairs: n, share: shape[len(shape)-1], experts: experts,
		start: make([]int, experts+1), order: make([]int, n), active: make([]int, 0, min(n, experts))}
}

// sort finds the order, by counting.
func (r *routed) sort(context.Context) error {
	clear(r.start)
	last := r.pairs // of what has no expert
	for i := r.pairs - 1; i >= 0; i-- {
		if r.chosen.get(i) == -1 {
			last--
			r.order[last] = i
		} else if e, ok := r.chosen.at(i); ok {
			r.start[e+1]++
		}
	}
	if err := r.chosen.err(); err != nil {
		return err
	}
	for e := range r.experts {
		r.start[e+1] += r.start[e]
	}
	for i := r.pairs - 1; i >= 0; i-- { // start[e+1] counts down to where e+1 begins
		if e := r.chosen.get(i); e >= 0 {
			r.start[e+1]--
			r.order[r.start[e+1]] = i
		}
	}
	copy(r.start, r.start[1:])
	r.start[r.experts] = last
	r.active = r.active[:0]
	for e := range r.experts {
		if r.start[e] < r.start[e+1] {
			r.active = append(r.active, e)
		}
	}
	return nil
}

// gather copies the vectors of x, n floats each, to rows of to that are ld
// apart, zeros after them.
func (r *routed) gather(x vec, n int, to []float32, ld int) kernels.Step {
	share := 1
	if x.n != r.pairs*n { // one vector for all choices
		share = r.share
	}
	perPart := max(1, grain/max(ld, 1))
	return r.b.step(parts(r.pairs, perPart), func(_, id int) {
		lo, hi := span(id, r.pairs, perPart)
		for row := lo; row < hi; row++ {
			x.load(to[row*ld:row*ld+n], r.order[row]/share*n)
			clear(to[row*ld+n : (row+1)*ld])
		}
	})
}

// scatter writes rows of from, n floats each and ld apart, to where their
// choices are in y, and zeros where no expert was chosen.
func (r *routed) scatter(y vec, n int, from []float32, ld int) kernels.Step {
	perPart := max(1, grain/max(n, 1))
	return r.b.step(parts(r.pairs, perPart), func(_, id int) {
		lo, hi := span(id, r.pairs, perPart)
		for row := lo; row < hi; row++ {
			if row >= r.start[r.experts] {
				clear(from[row*ld : row*ld+n])
			}
			y.store(r.order[row]*n, from[row*ld:row*ld+n])
		}
	})
}

// each returns a step of n parts for every expert that was chosen.
func (r *routed) each(n int, f func(worker, expert, part int)) kernels.Step {
	return r.b.step(cap(r.active)*n, func(worker, id int) {
		if i := id / n; i < len(r.active) {
			f(worker, r.active[i], id%n)
		}
	})
}

// wholePanels rounds n up to whole panels.
func wholePanels(n int) int { return parts(n, asm.Panel) * asm.Panel }

// expertLinear multiplies vectors by the weights of the experts chosen for
// them. Vectors of one expert are multiplied together; every element is one
// chain of fused multiply-adds over in, so that it does not depend on which.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   weight [experts, out, in], or [experts, in, out] if Transpose   y [..., k, out]
func expertLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertLinearAttr)
	if !ok || len(in) != 3 || !isIndex(in[1]) || !stored(in[0].DType) || !stored(out[0].DType) ||
		!stored(in[2].DType) && (!in[2].DType.Blocked() || a.Transpose) {
		return nil, false
	}
	last := func(t ir.Type) int { s := t.Sizes(); return s[len(s)-1] }
	if _, ok := packingOf(in[2].DType); ok {
		return expertBlocks(b, a), true
	}
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindExpertLinear(b, a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			return 4 * int64(in[1].Elems()) * int64(last(in[0])+wholePanels(a.OutFeatures))
		},
	}, true
}

func bindExpertLinear(b *Backend, a op.ExpertLinearAttr, args kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(args.In, args.Out...)...)
	if err != nil {
		return nil, err
	}
	k := args.In[0].Shape[len(args.In[0].Shape)-1]
	r := newRouted(b, vs[1], args.In[1].Shape, a.Experts)
	if vs[3].n != r.pairs*a.OutFeatures {
		return nil, fmt.Errorf("result has %d elements, want %d x %d", vs[3].n, r.pairs, a.OutFeatures)
	}
	ld := wholePanels(a.OutFeatures)
	room, err := b.scratch(args, r.pairs*(k+ld))
	if err != nil || r.pairs*k == 0 {
		return b.step(0, nil), err
	}
	w := weight{vec: vs[2], packed: args.In[2].Layout == N32, row: 1, col: k}
	shape := []int{a.Experts, a.OutFeatures, k}
	if a.Transpose {
		shape[1], shape[2] = k, a.OutFeatures
		w.row, w.col = a.OutFeatures, 1
	}
	if err := checkWeight("weight", args.In[2], shape...); err != nil {
		return nil, err
	}
	p := &expertProduct{routed: r, product: &product{b: b, n: a.OutFeatures, k: k}, w: w, ld: ld, x: room[:r.pairs*k], y: room[r.pairs*k:]}
	if d := args.In[2].DType; d.Blocked() {
		if p.product.decode, err = decoder(d); err != nil {
			return nil, err
		}
	}
	for e := range a.Experts {
		p.w.first = append(p.w.first, e*a.OutFeatures*k)
	}
	return sequence(r.sort, r.gather(vs[0], k, p.x, k), r.each(ld/asm.Panel, p.panel), r.scatter(vs[3], a.OutFeatures, p.y, ld)), nil
}

// expertProduct is y = x w for the rows of each expert.
type expertProduct struct {
	*routed
	product *product // to read weights by
	w       weight
	ld      int
	x, y    []float32 // sorted rows, k and ld apart
}

// panel computes 32 columns of the rows of one expert.
func (p *expertProduct) panel(worker, e, panel int) {
	j := panel * asm.Panel
	k, height := p.product.k, p.b.asm.Rows
	step := k
	if !p.w.packed {
		step = unpackedK
	}
	for k0 := 0; k0 < k; k0 += step {
		n := min(step, k-k0)
		from := block{storage: p.w.storage(), ld: asm.Panel}
		if p.w.packed {
			from.p = p.w.at((e*p.ld+j)*k + k0*asm.Panel)
		} else {
			from = p.product.weights(p.b.local[worker], p.w, e, j, k0, n)
		}
		load := min(k0, 1)
		for row := p.start[e]; row < p.start[e+1]; row += height {
			m := min(height, p.start[e+1]-row)
			p.b.asm.ByRow[from.storage][m](n, &p.x[row*k+k0], k, from.p, from.ld, &p.y[row*p.ld+j], p.ld, nil, load)
		}
	}
}

// expertLinearGrad sums dy xᵀ over the vectors of each expert, in their order.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   dy [..., k, out] or [..., out]   dw f32 [experts, out, in]
func expertLinearGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertGradAttr)
	if !ok || len(in) != 3 || !isIndex(in[1]) || !stored(in[0].DType) || !stored(in[2].DType) || out[0].DType != ir.F32 {
		return nil, false
	}
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindExpertGrad(b, a, args) },
		scratch: func(_ any, in, out []ir.Type) int64 {
			s := out[0].Sizes()
			return 4 * int64(in[1].Elems()) * int64(wholePanels(s[2])+s[1])
		},
	}, true
}

func bindExpertGrad(b *Backend, a op.ExpertGradAttr, args kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(args.In, args.Out...)...)
	if err != nil {
		return nil, err
	}
	shape := args.Out[0].Shape
	n, k := shape[1], shape[2]
	r := newRouted(b, vs[1], args.In[1].Shape, a.Experts)
	ld := wholePanels(k)
	room, err := b.scratch(args, r.pairs*(ld+n))
	if err != nil {
		return nil, err
	}
	x, dy, dw := room[:r.pairs*ld], room[r.pairs*ld:], vs[3].f32()
	panels, height := ld/asm.Panel, b.asm.Rows
	sum := b.step(a.Experts*panels, func(worker, id int) {
		e, j := id/panels, id%panels*asm.Panel
		width, count := min(asm.Panel, k-j), r.start[e+1]-r.start[e]
		local := b.local[worker][:height*asm.Panel]
		for o := 0; o < n; o += height {
			m := min(height, n-o)
			clear(local)
			if count > 0 {
				at := r.start[e]
				b.asm.ByCol[m](count, &dy[at*n+o], n, floatBytes(&x[at*ld+j]), ld, &local[0], asm.Panel, nil, 0)
			}
			for i := range m {
				copy(dw[(e*n+o+i)*k+j:][:width], local[i*asm.Panel:])
			}
		}
	})
	return sequence(r.sort, r.gather(vs[0], k, x, ld), r.gather(vs[2], n, dy, n), sum), nil
}
