package cuda

import (
	"context"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// blocked lists the kernels of ops that read weights, or caches, in blocks.
func blocked() map[string]maker {
	return map[string]maker{
		"linear":        blockLinear,
		"gated_linear":  blockGated,
		"expert_linear": blockExperts,
		"embedding":     blockEmbedding,

		"attention":    attention,
		"cache_append": cacheAppendBlocks,
	}
}

// blockProduct is a product with weights in blocks: y = f(x Wᵀ + b), or f(x Gᵀ) *
// (x Uᵀ). x is quantised to 8 bits in blocks of 32 first, as on CPU; for nf4 it is made
// of two f16 for each number.
type blockProduct struct {
	b        *Backend
	dtype    ir.DType
	act      string
	weights  []int // which inputs they are
	bias     int   // and which the bias is; 0 for none
	chosen   int
	experts  int
	features int // of the result
	rows     int // that a kernel does at a time; 0 for what sizes say
}

// blockParams is BlockProduct of source/blocks_product.h.
type blockParams struct {
	w                               [2]blocks
	x, y, bias                      driver.Pointer
	chosen, expertOf, rowOf, bad    driver.Pointer
	m, n, units, slots              uint64
	step, share, experts            uint64
	count, function                 uint32
	xCode, yCode, biasCode, picCode uint32
}

// What a kernel of source/blocks_product.cu does at a time.
const (
	fewSlots    = 8
	someSlots   = 32
	manySlots   = 64
	tileColumns = 128
)

// fewStep is how far rows of x are apart for a kernel of few, which has half the sums
// then.
const fewStep = 2

// spread is how rows of x come to a kernel: in slots, of which some may be empty.
type spread struct {
	rows  int // at a time
	slots int
	step  int  // row i is slot i step
	group bool // rows of an expert are put together
}

// spread finds it for m rows of a result. No bit depends on it.
func (p blockProduct) spread(m int) spread {
	if p.chosen > 0 {
		return p.spreadExperts(m)
	}
	s := spread{rows: p.rows, slots: m, step: 1}
	switch {
	case s.rows > 0:
	case m <= fewSlots/fewStep:
		s.rows = fewSlots
	case p.fills(parts(m, manySlots)):
		s.rows = manySlots
	default:
		s.rows = someSlots
	}
	if s.rows == fewSlots {
		s.slots, s.step = m*fewStep, fewStep
	}
	return s
}

// fills reports whether large tiles would be as many blocks as a device has, with room
// for each.
func (p blockProduct) fills(tiles int) bool {
	return p.room() <= p.b.device.Info.SharedMemory && parts(p.features*len(p.weights), tileColumns)*tiles >= largeBlocks
}

// kernel is the one for a spread, with its shared memory.
func (p blockProduct) kernel(arg *blockParams, s spread) (file, name string, g grid, room int) {
	columns, threads := 16, 256
	kind := "few"
	switch {
	case s.rows == manySlots:
		columns, threads, kind, room = tileColumns/int(arg.count), 128, "many", p.room()
	case s.rows == someSlots:
		columns, kind = 32/int(arg.count), "some"
	case arg.count == 2:
		kind = "gate"
	}
	g = grid{driver.Dim{X: parts(int(arg.n), columns), Y: min(parts(s.slots, s.rows), 65535), Z: 1}, threads}
	return "blocks_product", fmt.Sprintf("block_%s_%d", kind, arg.w[0].format), g, room
}

// room is the shared memory of a large tile, in bytes.
func (p blockProduct) room() int {
	if p.dtype == ir.NF4 {
		return 101 << 10
	}
	return 66 << 10
}

// record is the bytes of 32 numbers of 8 slots, see Record of
// source/blocks_product.cu.
func (p blockProduct) record() int {
	switch p.dtype {
	case ir.NF4:
		return 1088
	case ir.Q6_K, ir.Q3_K, ir.Q2_K:
		return 352
	}
	return 320
}

// Scratch is what x takes in records, and where rows are.
func (p blockProduct) Scratch(_ any, in, _ []ir.Type) int64 {
	sizes := in[0].Sizes()
	k := sizes[len(sizes)-1]
	m := int(in[0].Elems()) / max(1, k)
	if p.chosen > 0 {
		m = int(in[p.chosen].Elems())
	}
	s := p.spread(m)
	return int64(p.records(s, k/unit)) + s.tables()
}

// records are the bytes of all.
func (p blockProduct) records(s spread, units int) int {
	return parts(s.slots, 8) * parts(units, 4) * 4 * p.record()
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
	m := y.Len() / p.features
	s := p.spread(m)
	arg := &blockParams{m: uint64(m), n: uint64(p.features), units: uint64(k / unit), slots: uint64(s.slots), step: uint64(s.step), share: 1, experts: 1,
		count: uint32(len(p.weights)), function: activations[p.act], xCode: codes[x.DType], yCode: codes[y.DType]}
	at, err := p.b.pointers(x, y)
	if err != nil || y.Len() == 0 {
		return nothing, err
	}
	arg.x, arg.y = at[0], at[1]
	for i, input := range p.weights {
		want := max(1, p.experts) * p.features * k
		if a.In[input].Len() != want || a.In[input].DType != w.DType {
			return nil, fmt.Errorf("cuda: a weight of %v %v, want %d elements of %v", a.In[input].DType, a.In[input].Shape, want, w.DType)
		}
		if want/k*parts(k, 4*unit) > math.MaxUint32/8 {
			return nil, fmt.Errorf("cuda: a weight of %d elements, want at most %d", want, math.MaxUint32/8*4*unit)
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
	return p.steps(a, arg, s)
}

// steps prepares the launches for x that lies at arg.x.
func (p blockProduct) steps(a kernels.Args, arg *blockParams, s spread) (kernels.Step, error) {
	records := p.records(s, int(arg.units))
	if want := int64(records) + s.tables(); int64(a.Scratch.Len()) < want {
		return nil, fmt.Errorf("cuda: scratch of %d bytes, want %d", a.Scratch.Len(), want)
	}
	scratch, err := p.b.pointer(a.Scratch)
	if err != nil {
		return nil, err
	}
	var steps []kernels.Step
	put := func(step kernels.Step, err error) error {
		steps = append(steps, step)
		return err
	}
	done := func(step kernels.Step) kernels.Step { return step }
	if p.chosen > 0 {
		if done, err = p.choose(a, arg, s, scratch+driver.Pointer(records), put); err != nil {
			return nil, err
		}
	}
	if err := put(p.quantise(a, arg, s, scratch)); err != nil {
		return nil, err
	}
	file, name, g, room := p.kernel(arg, s)
	if err := put(launchRoom(p.b, file, name, g, room, arg)); err != nil {
		return nil, err
	}
	return done(func(ctx context.Context) error {
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}), nil
}

// quantise returns the step that writes x in records to scratch.
func (p blockProduct) quantise(a kernels.Args, arg *blockParams, s spread, scratch driver.Pointer) (kernels.Step, error) {
	type params struct {
		y, x, rowOf                driver.Pointer
		slots, units, step, share  uint64
		code, offset, plain, bytes uint32
	}
	c, err := codingOf(p.dtype)
	if err != nil {
		return nil, err
	}
	q := &params{y: scratch, x: arg.x, rowOf: arg.rowOf, slots: uint64(s.slots / s.step), units: arg.units, step: arg.step, share: arg.share,
		code: arg.xCode, offset: c.offset, bytes: uint32(p.record())}
	if !c.lifted() {
		q.plain = 1
	}
	arg.x = scratch
	name, threads := "quantise", 8 // of a unit
	if p.dtype == ir.NF4 {
		name, threads = "halve", 4
	}
	return launch(p.b, "blocks", name, overElements(int(q.slots)*parts(int(q.units), 4)*4*threads), q)
}

// multiplies reports whether p can be computed for element types.
func (p blockProduct) multiplies(in, out []ir.Type) bool {
	ok := len(in[0].Shape) > 0 && stored(in[0].DType) && stored(out[0].DType)
	for _, i := range p.weights {
		ok = ok && in[i].DType == p.dtype
	}
	if p.bias > 0 {
		ok = ok && stored(in[p.bias].DType)
	}
	_, known := activations[p.act]
	return ok && p.dtype.Blocked() && known
}

// blockLinear is linear of weights in blocks.
//
//	x [..., in]   weight [out, in]   bias [out]   y [..., out]
func blockLinear(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LinearAttr)
	p := blockProduct{b: b, dtype: in[1].DType, act: a.Act, weights: []int{1}, features: a.OutFeatures}
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
	p := blockProduct{b: b, dtype: in[1].DType, act: a.Act, weights: []int{1, 2}, features: a.OutFeatures}
	return p, ok && p.multiplies(in, out)
}
