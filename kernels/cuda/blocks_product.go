package cuda

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// blocked lists the kernels of ops that read weights in blocks.
func blocked() map[string]maker {
	return map[string]maker{
		"linear":        blockLinear,
		"gated_linear":  blockGated,
		"expert_linear": blockExperts,
		"embedding":     blockEmbedding,
	}
}

// blockProduct is a product with weights in blocks: y = f(x Wᵀ + b), or f(x Gᵀ) *
// (x Uᵀ). x is quantised to 8 bits in blocks of 32 first, as on CPU, but for nf4.
type blockProduct struct {
	b        *Backend
	act      string
	weights  []int // which inputs they are
	bias     int   // and which the bias is; 0 for none
	chosen   int
	experts  int
	features int // of the result
}

// blockParams is BlockProduct of source/blocks.cu.
type blockParams struct {
	w                               [2]blocks
	x, y, bias, chosen, bad         driver.Pointer
	m, n, units, share, experts     uint64
	count, function                 uint32
	xCode, yCode, biasCode, picCode uint32
}

// quantised is the bytes of a block of activations.
const quantised = 48

// Scratch is what x takes in blocks.
func (p blockProduct) Scratch(_ any, in, _ []ir.Type) int64 {
	if in[p.weights[0]].DType == ir.NF4 {
		return 0
	}
	return int64(in[0].Elems()) / unit * quantised
}

// InPlace is for never.
func (p blockProduct) InPlace(int, int) bool { return false }

// Bind checks the sizes and prepares the launches.
func (p blockProduct) Bind(a kernels.Args) (kernels.Step, error) {
	x, y, w := a.In[0], a.Out[0], a.In[p.weights[0]]
	k := x.Shape[len(x.Shape)-1]
	if size, _ := w.DType.Block(); k%size != 0 {
		return nil, fmt.Errorf("cuda: rows of %d are no whole number of blocks of %d", k, size)
	}
	arg := &blockParams{m: uint64(y.Len() / p.features), n: uint64(p.features), units: uint64(k / unit), share: 1, experts: 1,
		count: uint32(len(p.weights)), function: activations[p.act], xCode: codes[x.DType], yCode: codes[y.DType]}
	at, err := p.b.pointers(x, y)
	if err != nil || y.Len() == 0 {
		return nothing, err
	}
	arg.x, arg.y = at[0], at[1]
	for i, input := range p.weights {
		if want := max(1, p.experts) * p.features * k; a.In[input].Len() != want || a.In[input].DType != w.DType {
			return nil, fmt.Errorf("cuda: a weight of %v %v, want %d elements of %v", a.In[input].DType, a.In[input].Shape, want, w.DType)
		}
		if arg.w[i], err = p.b.blocksOf(a.In[input]); err != nil {
			return nil, err
		}
	}
	if p.bias > 0 {
		if arg.bias, err = p.b.pointer(a.In[p.bias]); err != nil {
			return nil, err
		}
		arg.biasCode = codes[a.In[p.bias].DType]
	}
	return p.steps(a, arg)
}

// steps prepares the launches for x that lies at arg.x.
func (p blockProduct) steps(a kernels.Args, arg *blockParams) (kernels.Step, error) {
	var first kernels.Step = nothing
	if n := a.In[0].Len() / unit; n > 0 && a.In[p.weights[0]].DType != ir.NF4 {
		var err error
		if first, arg.x, err = p.b.quantise(a, arg, n); err != nil {
			return nil, err
		}
	}
	chosen := kernels.Tensor{}
	var bad *slot
	if p.chosen > 0 {
		var err error
		chosen = a.In[p.chosen]
		if arg.chosen, err = p.b.pointer(chosen); err != nil {
			return nil, err
		}
		if bad, err = p.b.slot(); err != nil {
			return nil, err
		}
		arg.bad = bad.at
		arg.picCode, arg.experts = codes[chosen.DType], uint64(p.experts)
		arg.share = arg.m / max(1, uint64(a.In[0].Len())/(arg.units*unit))
	}
	rows := 4
	if arg.m == 1 || p.chosen > 0 {
		rows = 1
	}
	name := fmt.Sprintf("block_product_%d_%d", arg.w[0].bits, rows)
	g := grid{driver.Dim{X: parts(int(arg.n), 32), Y: min(parts(int(arg.m), rows), 65535), Z: 1}, 256}
	second, err := launch(p.b, "blocks", name, g, arg)
	if err != nil {
		return nil, err
	}
	if p.chosen > 0 {
		second = p.b.checked(second, bad, chosen, arg.chosen, p.experts)
	}
	return func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		return second(ctx)
	}, nil
}

// quantise returns the step that writes x in blocks to the scratch, and where that
// lies.
func (b *Backend) quantise(a kernels.Args, arg *blockParams, n int) (kernels.Step, driver.Pointer, error) {
	type params struct {
		y, x   driver.Pointer
		blocks uint64
		code   uint32
	}
	if a.Scratch.Len() < n*quantised {
		return nil, 0, fmt.Errorf("cuda: scratch of %d bytes, want %d", a.Scratch.Len(), n*quantised)
	}
	at, err := b.pointer(a.Scratch)
	if err != nil {
		return nil, 0, err
	}
	g := grid{driver.Dim{X: min(parts(n, 8), 1<<20), Y: 1, Z: 1}, 256}
	step, err := launch(b, "blocks", "quantise", g, &params{at, arg.x, uint64(n), arg.xCode})
	return step, at, err
}

// multiplies reports whether p can be computed for element types.
func (p blockProduct) multiplies(in, out []ir.Type) bool {
	ok := len(in[0].Shape) > 0 && stored(in[0].DType) && stored(out[0].DType)
	for _, i := range p.weights {
		ok = ok && in[i].DType.Blocked() && in[i].DType == in[p.weights[0]].DType
	}
	if p.bias > 0 {
		ok = ok && stored(in[p.bias].DType)
	}
	_, known := activations[p.act]
	return ok && known
}

// blockLinear is linear of weights in blocks.
//
//	x [..., in]   weight [out, in]   bias [out]   y [..., out]
func blockLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LinearAttr)
	p := blockProduct{b: b, act: a.Act, weights: []int{1}, features: a.OutFeatures}
	if a.Bias {
		p.bias = 2
	}
	return p, ok && !a.Transpose && p.multiplies(in, out)
}

// blockGated is gated_linear of weights in blocks.
//
//	x [..., in]   gate, up [out, in]   y [..., out]
func blockGated(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.GatedLinearAttr)
	p := blockProduct{b: b, act: a.Act, weights: []int{1, 2}, features: a.OutFeatures}
	return p, ok && p.multiplies(in, out)
}

// blockExperts is expert_linear of weights in blocks. Each vector reads the
// weights of its expert alone.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   weight [experts, out, in]   y [..., k, out]
func blockExperts(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertLinearAttr)
	p := blockProduct{b: b, weights: []int{2}, chosen: 1, experts: a.Experts, features: a.OutFeatures}
	return p, ok && !a.Transpose && isIndex(in[1]) && p.multiplies(in, out)
}

// blockEmbedding takes rows of a table in blocks.
//
//	x ids [...]   weight [vocab, dim]   y f32 [..., dim]
func blockEmbedding(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		w             blocks
		y, index, bad driver.Pointer
		m, n, units   uint64
		code          uint32
	}
	_, ok := attr.(op.EmbeddingAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		ids, table, y := args.In[0], args.In[1], args.Out[0]
		at, err := b.pointers(y, ids)
		if err != nil || y.Len() == 0 {
			return nothing, err
		}
		bad, err := b.slot()
		if err != nil {
			return nil, err
		}
		p := &params{y: at[0], index: at[1], bad: bad.at, m: uint64(ids.Len()), n: uint64(table.Shape[0]), units: uint64(table.Shape[1] / unit), code: codes[ids.DType]}
		if p.w, err = b.blocksOf(table); err != nil {
			return nil, err
		}
		run, err := launch(b, "blocks", "block_rows", overElements(y.Len()/8), p)
		if err != nil {
			return nil, err
		}
		return b.checked(run, bad, ids, at[1], table.Shape[0]), nil
	}}, ok && isIndex(in[0]) && in[1].DType.Blocked() && out[0].DType == ir.F32
}
