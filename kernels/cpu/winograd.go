package cpu

import (
	"context"
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// winograd computes a convolution over two axes of kernel 3 x 3 and stride 1
// by tiles of 4 x 4 positions, each from a tile of 6 x 6 elements, with 36
// products for a channel in place of 144:
//
//	y = Aᵀ (sum over channels of (G w Gᵀ) ⊙ (Bᵀ x B)) A
//
// x is transformed for some panels of 32 tiles at a time, of a number that the shape
// fixes; weights where they are used, 32 rows and some channels at a time, so that they never go to memory.
// Where a panel has few tiles, rows of weights are its columns. All products are
// chains of fused multiply-adds over the channels in order, so none of this changes a bit.
//
// Source: arXiv:1509.09308.
type winograd struct {
	convolving
	pads         [2]int // before, of the two axes
	across, down int    // tiles of a sample
	tileCount    int    // of all samples
	together     int    // panels that are transformed before they are multiplied
	group        int    // of them, in a unit
	deep         int    // channels that are summed before the next weights are transformed
	chunk        int    // which of the panels are at hand
	tall         bool   // weights lie in tall panels
	v            []float32
	transform    func(worker, id int)
	multiply     func(worker, id int)
}

// The memory of a worker, in floats: transformed weights [36][deep][32], weights as they lie, a tile, a line, sums [panels][36][32][32].
const (
	winoBlock  = asm.Panel // rows of weights of a unit
	winoDeep   = 48        // channels that are summed at a time: their weights and the sums of a panel stay in the second-level cache
	winoMost   = 512       // the same where several panels share the weights, whose sums would not stay there
	winoGroup  = 4         // panels of a unit
	winoFew    = 20        // tiles of a panel that are few
	winoFloats = 4 << 20   // of x, transformed, at most, unless one panel has more
	channelsOf = 8         // channels of a unit of the transform
	winoGap    = 48        // between the 36 parts of what is transformed, so that they fall on other lines of the caches
	panelSums  = 36 * (winoBlock*asm.Panel + winoGap)
	atWeights  = 0
	atPlain    = atWeights + 36*(winoMost*winoBlock+winoGap)
	atTile     = atPlain + (9*winoDeep+16)*winoBlock
	atRow      = atTile + 36*asm.Panel
	atWinoSums = atRow + 4*asm.Panel + 16
	winoRoom   = atWinoSums + winoGroup*panelSums
)

// newWinograd settles what shapes say.
func newWinograd(b *Backend, attr any, x, w, y ir.Type) (*winograd, error) {
	c, err := newConvolution(b, false, attr, x, w, y)
	if err != nil {
		return nil, err
	}
	geo, err := op.ConvGeometry(attr, x)
	if err != nil {
		return nil, err
	}
	if len(x.Shape) != 4 || !op.SuitsWinograd(geo, w) {
		return nil, fmt.Errorf("winograd is for kernels of 3 x 3 without stride, dilation and groups, not for %v of %v", w, geo)
	}
	q := &winograd{convolving: *c, down: parts(c.dest[1], 4), across: parts(c.dest[2], 4)}
	copy(q.pads[:], geo.Before.Slice())
	q.tileCount = q.batch * q.down * q.across
	panels := parts(q.tileCount, asm.Panel)
	q.together = min(panels, max(1, winoFloats/(36*q.apart())))
	// Panels share transformed weights, as long as there are units for all threads.
	for q.group = min(winoGroup, q.together); q.group > 1 && parts(q.together, q.group)*parts(q.rows, winoBlock) < 4*b.Threads(); q.group-- {
	}
	q.deep = winoMost
	if q.group == 1 {
		q.deep = winoDeep
	}
	q.deep = parts(q.channels, parts(q.channels, q.deep))
	return q, nil
}

// floats is the scratch: x, transformed, of some panels.
func (q *winograd) floats() int { return q.together * 36 * q.apart() }

// apart is the distance of the 36 parts of a panel of x, transformed.
func (q *winograd) apart() int { return q.channels*asm.Panel + winoGap }

func bindWinograd(b *Backend, act func([]float32), a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	typ := func(t kernels.Tensor) ir.Type { return ir.T(t.DType, t.Shape...) }
	q, err := newWinograd(b, a.Attr, typ(a.In[0]), typ(a.In[1]), typ(a.Out[0]))
	if err != nil {
		return nil, err
	}
	q.x, q.w, q.y, q.act, q.tall = vs[0], vs[1], vs[len(a.In)], act, a.In[1].Layout != ""
	if len(a.In) > 2 {
		if err := checkWeight("bias", a.In[2], q.rows); err != nil {
			return nil, err
		}
		q.bias = vs[2]
	}
	if q.v, err = b.scratch(a, q.floats()); err != nil {
		return nil, err
	}
	q.transform, q.multiply = q.transformPart, q.multiplyPart
	return q.chunks, nil
}

// chunks transforms and multiplies some panels after others.
func (q *winograd) chunks(context.Context) error {
	panels := parts(q.tileCount, asm.Panel)
	for q.chunk = 0; q.chunk < panels; q.chunk += q.together {
		n := min(q.together, panels-q.chunk)
		q.b.pool.Run(n*parts(q.channels, channelsOf), q.transform)
		q.b.pool.Run(parts(n, q.group)*parts(q.rows, winoBlock), q.multiply)
	}
	return nil
}

// weights transforms the weights of n rows from row on and some channels from c0 on:
// element i of channel c0+c and row+r comes to lie at i*(deep*32+winoGap)+c*32+r.
func (q *winograd) weights(local []float32, row, n, c0, channels int) {
	if !q.tall {
		for c := 0; c < channels; c += winoDeep {
			some := min(winoDeep, channels-c)
			q.plain(local[atPlain:], row, n, (c0+c)*9, some*9)
			q.transformed(local, c, some, 0, n, local[atPlain:], n)
		}
		return
	}
	for r := 0; r < n; {
		at, height := q.tallOf(0, (row+r)/tallRows)
		in := (row + r) % tallRows
		count := min(n-r, height-in)
		q.transformed(local, 0, channels, r, count, q.w.f32()[at+c0*9*height+in:], height)
		r += count
	}
}

// transformed transforms the weights of n rows, which belong at row r, and some channels, which belong at channel c: weight k
// of the i-th of them, of a row, is from[(9*i+k)*apart+row].
func (q *winograd) transformed(local []float32, c, channels, r, n int, from []float32, apart int) {
	for i := range channels {
		q.b.asm.TileWeights(n, &from[i*9*apart], apart, &local[atWeights+(c+i)*winoBlock+r], q.deep*winoBlock+winoGap)
	}
}

// plain writes k weights of each of n rows, from weight k0 of row on, side by side.
func (q *winograd) plain(to []float32, row, n, k0, k int) {
	i, stride, wide := row*q.channels*9+k0, q.channels*9, multiple(k, 16)
	if i+(n-1)*stride+wide <= q.w.n {
		q.b.asm.Interleave[q.w.storage()](n, wide, q.w.at(i), q.w.dtype.Size()*stride, &to[0])
		return
	}
	for r := range n {
		for l := range k {
			to[l*n+r] = q.w.one(i + r*stride + l)
		}
	}
}

// multiplyPart computes a block of rows of a group of panels.
func (q *winograd) multiplyPart(worker, id int) {
	local := q.b.local[worker]
	blocks := parts(q.rows, winoBlock)
	first := id / blocks * q.group
	last := min(first+q.group, q.together, parts(q.tileCount, asm.Panel)-q.chunk)
	row, end := span(id%blocks, q.rows, winoBlock)
	for c0 := 0; c0 < q.channels; c0 += q.deep {
		channels := min(q.deep, q.channels-c0)
		q.weights(local, row, end-row, c0, channels)
		for panel := first; panel < last; panel++ {
			q.products(local, panel, panel-first, end-row, c0, channels)
		}
	}
	for panel := first; panel < last; panel++ {
		sums := local[atWinoSums+(panel-first)*panelSums:]
		if tiles := q.tilesOf(panel); tiles <= winoFew {
			q.storeFew(local, sums, panel, tiles, row, end-row)
		} else {
			q.store(local, sums, panel, row, end-row)
		}
	}
}

// tilesOf is how many tiles a panel at hand has.
func (q *winograd) tilesOf(panel int) int {
	return min(asm.Panel, q.tileCount-(q.chunk+panel)*asm.Panel)
}

// products adds what some channels give to the sums of n rows and a panel, by rows, or by tiles where these are few.
func (q *winograd) products(local []float32, panel, slot, n, c0, channels int) {
	load := 0
	if c0 > 0 {
		load = 1
	}
	height, few := n, q.tilesOf(panel)
	if few <= winoFew {
		height = few
	}
	count := parts(height, q.b.asm.Rows)
	sums := local[atWinoSums+slot*panelSums:]
	for i := range 36 {
		a, b := &local[atWeights+i*(q.deep*winoBlock+winoGap)], &q.v[(panel*36+i)*q.apart()+c0*asm.Panel]
		if few <= winoFew {
			a, b = b, a
		}
		for t := range count {
			r, next := t*height/count, (t+1)*height/count
			at := (*float32)(unsafe.Add(unsafe.Pointer(a), 4*r))
			q.b.asm.ByCol[next-r](channels, at, asm.Panel, floatBytes(b), asm.Panel, &sums[i*(height*asm.Panel+winoGap)+r*asm.Panel], asm.Panel, nil, load)
		}
	}
}
