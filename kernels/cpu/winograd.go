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
// All products, those of the transforms too, are chains of fused
// multiply-adds in a fixed order. Panels are of 32 tiles; what is transformed
// of x is kept for some panels at a time, of a number that the shape fixes.
//
// Source: arXiv:1509.09308; arXiv:1803.10986 for how to choose the points.
type winograd struct {
	convolving
	pads         [2]int // before, of the two axes
	across, down int    // tiles of a sample
	tileCount    int    // of all samples
	together     int    // panels that are transformed before they are multiplied
	chunk        int    // which of them are at hand
	ld           int    // distance of rows of u
	heights      []int  // first row of each tile of rows, and rows
	blocks       []int  // first tile of rows of each block, and their number
	u, v         []float32
	raw          func(buf []float32, i, n int) []float32 // weights from i on, where they lie or in buf
	at, bt, gg   []float32                               // Aᵀ [4,6], Bᵀ [6,6], G ⊗ G [36,9]
	transform    func(worker, id int)
	multiply     func(worker, id int)
}

// The memory of a worker, in floats.
const (
	winoRows   = 48 // rows of a block, about
	winoMost   = winoRows + 16
	winoFloats = 4 << 20 // of x, transformed, at most, unless one panel has more
	channelsOf = 8       // channels of a unit of the transform
	atProducts = 0       // [36][rows][32]
	atTile     = 36 * winoMost * asm.Panel
	atHalf     = atTile + 36*asm.Panel
	atRow      = atHalf + 36*asm.Panel
)

// winogradPoints are where polynomials are evaluated, besides infinity: these
// lose the least of those tried (the test states how little).
func winogradPoints() []float64 { return []float64{0, 0.625, -0.625, 1.5, -1.5} }

// winogradMatrices returns Aᵀ [4,6], G [6,3] and Bᵀ [6,6] by the construction
// of Cook and Toom.
func winogradMatrices() (at, g, bt []float64) {
	points := winogradPoints()
	n := len(points) + 1
	at, g, bt = make([]float64, 4*n), make([]float64, n*3), make([]float64, n*n)
	roots := func(skip int) []float64 { // coefficients of the product of x - p over all points but one
		c := []float64{1}
		for k, p := range points {
			if k == skip {
				continue
			}
			c = append(c, 0)
			for i := len(c) - 1; i >= 0; i-- {
				c[i] *= -p
				if i > 0 {
					c[i] += c[i-1]
				}
			}
		}
		return c
	}
	for j, p := range points {
		scale, power := 1.0, 1.0
		for k, q := range points {
			if k != j {
				scale *= p - q
			}
		}
		for i := range 4 {
			at[i*n+j] = power
			if i < 3 {
				g[j*3+i] = power / scale
			}
			power *= p
		}
		copy(bt[j*n:], roots(j))
	}
	at[4*n-1], g[n*3-1] = 1, 1
	copy(bt[(n-1)*n:], roots(-1))
	return at, g, bt
}

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
	q := &winograd{convolving: *c, down: parts(c.dest[1], 4), across: parts(c.dest[2], 4), ld: spaced(c.channels)}
	copy(q.pads[:], geo.Before.Slice())
	q.tileCount = q.batch * q.down * q.across
	q.together = min(parts(q.tileCount, asm.Panel), max(1, winoFloats/(36*q.channels*asm.Panel)))
	count := parts(q.rows, b.asm.Rows)
	q.heights = evenly(q.rows, count)
	q.blocks = evenly(count, parts(q.rows, winoRows))
	q.matrices()
	return q, nil
}

// matrices rounds the matrices of the transforms.
func (q *winograd) matrices() {
	at, g, bt := winogradMatrices()
	narrow := func(m []float64) (out []float32) {
		for _, v := range m {
			out = append(out, float32(v))
		}
		return out
	}
	q.at, q.bt = narrow(at), narrow(bt)
	for i := range 36 {
		for k := range 9 {
			q.gg = append(q.gg, float32(g[i/6*3+k/3]*g[i%6*3+k%3]))
		}
	}
}

// floats is the scratch: weights, unless they are kept so, and, for some panels, x, transformed.
func (q *winograd) floats(kept bool) (u, v int) {
	if !kept {
		u = 36 * q.rows * q.ld
	}
	return u, q.together * 36 * q.channels * asm.Panel
}

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
	q.x, q.w, q.y, q.act = vs[0], vs[1], vs[len(a.In)], act
	if len(a.In) > 2 {
		if err := checkWeight("bias", a.In[2], q.rows); err != nil {
			return nil, err
		}
		q.bias = vs[2]
	}
	kept := a.In[1].Layout == Winograd36
	u, v := q.floats(kept)
	room, err := b.scratch(a, u+v)
	if err != nil {
		return nil, err
	}
	q.u, q.v, q.raw = room[:u], room[u:], q.w.tile
	q.transform, q.multiply = q.transformPart, q.multiplyPart
	if kept {
		q.u = q.w.f32()
		return q.chunks, nil
	}
	return sequence(b.step(q.rows, q.weightPart), q.chunks), nil
}

// chunks transforms and multiplies some panels after others.
func (q *winograd) chunks(context.Context) error {
	panels := parts(q.tileCount, asm.Panel)
	for q.chunk = 0; q.chunk < panels; q.chunk += q.together {
		n := min(q.together, panels-q.chunk)
		q.b.pool.Run(n*parts(q.channels, channelsOf), q.transform)
		q.b.pool.Run(n*(len(q.blocks)-1), q.multiply)
	}
	return nil
}

// small is c = a b for a matrix a [m,k] of few rows and a panel of b.
func (q *winograd) small(m, k int, a []float32, b *float32, ldb int, c *float32, ldc int) {
	for r := 0; r < m; {
		h := min(m-r, q.b.asm.Rows)
		to := (*float32)(unsafe.Add(unsafe.Pointer(c), 4*r*ldc))
		q.b.asm.ByRow[asm.F32][h](k, &a[r*k], k, floatBytes(b), ldb, to, ldc, nil, 0)
		r += h
	}
}

// weightPart transforms the weights of one row.
func (q *winograd) weightPart(worker, row int) {
	local := q.b.local[worker]
	raw, panel, made := local[:9*asm.Panel], local[9*asm.Panel:18*asm.Panel], local[18*asm.Panel:54*asm.Panel]
	for c := 0; c < q.channels; c += asm.Panel {
		n := min(asm.Panel, q.channels-c)
		w := q.raw(raw, (row*q.channels+c)*9, n*9)
		clear(panel)
		for j := range n {
			for k, v := range w[j*9 : j*9+9] {
				panel[k*asm.Panel+j] = v
			}
		}
		if n == asm.Panel {
			q.small(36, 9, q.gg, &panel[0], asm.Panel, &q.u[row*q.ld+c], q.rows*q.ld)
			continue
		}
		q.small(36, 9, q.gg, &panel[0], asm.Panel, &made[0], asm.Panel)
		for i := range 36 {
			copy(q.u[(i*q.rows+row)*q.ld+c:][:n], made[i*asm.Panel:])
		}
	}
}
