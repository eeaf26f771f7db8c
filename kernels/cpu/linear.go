package cpu

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// linear computes y = act(x Wᵀ + b).
//
//	x [..., in]   weight [out, in], or [in, out] if Transpose   bias [out]   y [..., out]
func linear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LinearAttr)
	if !ok {
		return nil, false
	}
	act, ok := b.actOf(op.DefaultAct(a.Act))
	return rowProduct{b: b, out: a.OutFeatures, transpose: a.Transpose, bias: a.Bias, weights: 1, act: act}.kernel(in, out, ok)
}

// gatedLinear computes y = act(x Gᵀ) * (x Uᵀ).
//
//	x [..., in]   gate, up [out, in]   y [..., out]
func gatedLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GatedLinearAttr)
	if !ok {
		return nil, false
	}
	act, ok := b.actOf(op.DefaultAct(a.Act))
	return rowProduct{b: b, out: a.OutFeatures, weights: 2, act: act}.kernel(in, out, ok)
}

// gatedHalves computes y = act(g) * u, with g and u the halves of x Wᵀ + b.
//
//	x [..., in]   weight [2 out, in]   bias [2 out]   y [..., out]
func gatedHalves(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GatedHalvesAttr)
	if !ok || in[1].DType.Blocked() {
		return nil, false
	}
	act, ok := b.actOf(op.DefaultAct(a.Act))
	r := rowProduct{b: b, out: a.OutFeatures, bias: a.Bias, weights: 1, act: act, halves: true, second: a.GateFirst}
	return r.kernel(in, out, ok)
}

// rowProduct is the product of the rows of x with one or two weights.
type rowProduct struct {
	b               *Backend
	out, weights    int
	transpose, bias bool
	halves, second  bool // the weight is two, and the one without an activation is the second
	act             unary
}

func (r rowProduct) kernel(in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	want := 1 + r.weights
	if r.bias {
		want++
	}
	if !ok || len(in) != want || len(in[0].Shape) == 0 || !stored(out[0].DType) {
		return nil, false
	}
	for i, t := range in {
		weight := i > 0 && i <= r.weights
		if !stored(t.DType) && !(weight && t.DType.Blocked()) || weight && (t.DType.Blocked() || in[1].DType.Blocked()) && t.DType != in[1].DType {
			return nil, false
		}
	}
	if in[1].DType.Blocked() && r.transpose {
		return nil, false
	}
	if _, ok := packingOf(in[1].DType); ok {
		return kernel{bind: r.bindBlocks, scratch: func(_ any, in, _ []ir.Type) int64 {
			return quantisedBytes(rows(in[0].Sizes()))
		}}, true
	}
	return kernel{
		bind: r.bind,
		scratch: func(_ any, in, _ []ir.Type) int64 {
			m, k := rows(in[0].Sizes())
			return productScratch(1, m, r.out, k, in[0].DType, k, 1)
		},
	}, true
}

func (r rowProduct) bind(a kernels.Args) (kernels.Step, error) {
	vs, err := r.b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	m, k := rows(a.In[0].Shape)
	p := &product{b: r.b, batch: 1, m: m, n: r.out, k: k, act: inPlace(r.act), y: vs[len(a.In)],
		x: operand{vec: vs[0], row: k, col: 1, first: []int{0}}}
	for i := 1; i <= r.weights; i++ {
		w, err := r.weight(a.In[i], vs[i], k)
		if err != nil {
			return nil, err
		}
		p.w = append(p.w, w)
	}
	if d := a.In[1].DType; d.Blocked() {
		if p.decode, err = decoder(d); err != nil {
			return nil, err
		}
	}
	if r.weights == 2 && a.In[1].Layout != a.In[2].Layout {
		return nil, fmt.Errorf("gate is in layout %q but up in %q", a.In[1].Layout, a.In[2].Layout)
	}
	if r.bias {
		if err := checkWeight("bias", a.In[2], r.wide()); err != nil {
			return nil, err
		}
		p.w[0].bias = vs[2]
	}
	if r.halves {
		p.w = r.divided(p.w[0], k)
	}
	if p.y.n != m*r.out {
		return nil, fmt.Errorf("result has %d elements, want %d x %d", p.y.n, m, r.out)
	}
	return p.bind(a)
}

// wide is the rows of a weight.
func (r rowProduct) wide() int {
	if r.halves {
		return 2 * r.out
	}
	return r.out
}

// divided is the halves of a weight with rows of k elements, the gate first.
func (r rowProduct) divided(w weight, k int) []weight {
	gate, up := w, w
	second := &gate
	if r.second {
		second = &up
	}
	second.vec = w.from(r.out * k)
	if w.bias.there() {
		second.bias = w.bias.from(r.out)
	}
	return []weight{gate, up}
}

// weight describes a weight in the layout in which it comes.
func (r rowProduct) weight(t kernels.Tensor, v vec, k int) (weight, error) {
	shape := []int{r.wide(), k}
	w := weight{vec: v, row: 1, col: k, first: []int{0}}
	packed := N32
	if r.transpose {
		shape = []int{k, r.out}
		w.row, w.col = r.out, 1
		packed = N32T
	}
	if t.DType == ir.NF4 {
		packed = BN32
	}
	if t.Layout != "" && t.Layout != packed {
		return weight{}, fmt.Errorf("weight is in layout %q, want %q or row-major", t.Layout, packed)
	}
	w.coded = t.Layout == BN32
	w.packed = t.Layout != "" && !w.coded
	return w, checkWeight("weight", t, shape...)
}
